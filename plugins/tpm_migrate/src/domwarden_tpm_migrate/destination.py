"""The jobs of a TPM on the host it comes to."""

from __future__ import annotations

import asyncio
from typing import Any

from domwarden.contract import (
    Domain,
    EmbeddedControl,
    JobContext,
    Movement,
    PermanentError,
    Refusal,
)
from domwarden_tpm_migrate import directories, swtpm
from domwarden_tpm_migrate.keys import fingerprint
from domwarden_tpm_migrate.opening import brought_by_tool
from domwarden_tpm_migrate.options import Options
from domwarden_tpm_migrate.places import Carrier, Places, carrier


class DestinationJobs:
    """One TPM that arrives."""

    def __init__(self, domain: Domain, options: Options) -> None:
        self._domain = domain
        self._options = options
        self._carrier = carrier(domain)
        self._places = Places.of(domain)

    async def test(self, _context: JobContext) -> dict[str, Any] | list[Refusal]:
        """Refuse what would lose a state, or find out too late that the ends differ."""
        refusals = [
            refusal
            for check in (self._differs, self._occupied, self._program, self._key)
            if (refusal := await asyncio.to_thread(check)) is not None
        ]
        return refusals or {"tpm": str(self._options.model), "carrier": str(self._carrier)}

    async def sync(self, _context: JobContext) -> None:
        """See the state here and durable, after which the source may let go of its own.

        Raises PermanentError.
        """
        if self._carrier is Carrier.MODEL:
            await self._settle_model()
        state = self._places.arriving
        if brought_by_tool(self._domain, self._options):
            state = self._places.state
        if self._carrier is not Carrier.UNKNOWN:
            if not await asyncio.to_thread(directories.holds_state, state):
                raise PermanentError(f"the TPM's state did not arrive in {state}")
            await asyncio.to_thread(directories.sync_all, state)

    async def recover(self, _context: JobContext) -> None:
        """Remove what arrived under this migration's name."""
        if self._carrier is Carrier.SWTPM:
            await swtpm.end(self._places)
        await asyncio.to_thread(directories.remove, self._places.arriving)

    async def finish(self, _context: JobContext) -> None:
        """Give the state its name; whoever runs on it does not notice."""
        if self._carrier is not Carrier.UNKNOWN:
            await asyncio.to_thread(self._publish)

    def _publish(self) -> None:
        places = self._places
        if not places.arriving.is_dir():
            if not places.state.is_dir():
                raise PermanentError(f"neither {places.arriving} nor {places.state} is there")
        else:
            if self._domain.movement is Movement.RESTORE and places.state.is_dir():
                # Equal to what the save holds: TEST compared them.
                directories.rename(places.state, places.replaced)
            directories.rename(places.arriving, places.state)
        directories.remove(places.replaced)

    def _differs(self) -> Refusal | None:
        here = {"tpm": str(self._options.model), "carrier": str(self._carrier)}
        there = self._domain.ticket
        if there is None:
            return None  # the source refuses by itself
        wrong = [key for key, value in here.items() if there.get(key) != value]
        if not wrong:
            return None
        said = ", ".join(f"{key} {here[key]}, not {there.get(key, 'none')}" for key in wrong)
        return Refusal(
            "tpm-differs",
            f"the two ends have not the same TPM: here {said}",
            "give the domain the same TPM on both hosts",
        )

    def _occupied(self) -> Refusal | None:
        state = self._places.state
        if not directories.holds_state(state):
            return None
        if self._domain.movement is Movement.RESTORE:
            if directories.digest(state) == (self._domain.ticket or {}).get("digest"):
                return None
            reason = f"{state} was written since the domain was saved"
        else:
            reason = f"{state} holds another TPM's state, which is never overwritten"
        return Refusal("tpm-state-exists", reason, "move it away if it is not needed")

    def _program(self) -> Refusal | None:
        if self._carrier is not Carrier.SWTPM or swtpm.installed():
            return None
        return Refusal("no-swtpm", "swtpm is not installed here", "install it (Debian: swtpm)")

    def _key(self) -> Refusal | None:
        try:
            here = fingerprint(self._options.key_file, self._domain.migration)
        except PermanentError as error:
            return Refusal("tpm-key", str(error), "put the source's key there")
        saved_elsewhere = self._domain.movement is Movement.RESTORE
        if (
            saved_elsewhere
            or self._domain.ticket is None
            or here == self._domain.ticket.get("key", "")
        ):
            return None
        return Refusal(
            "tpm-key",
            f"{self._options.key_file} is another key than the source's",
            "put the source's key there",
        )

    async def _settle_model(self) -> None:
        control = self._domain.control(EmbeddedControl)
        assert control is not None  # that is what made it the carrier
        if brought_by_tool(self._domain, self._options):
            command, directory = "load", self._places.state
        else:
            command, directory = "store", self._places.arriving
        await control.command(self._domain.device, command, {"directory": str(directory)})
