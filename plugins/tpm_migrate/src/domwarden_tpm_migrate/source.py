"""The jobs of a TPM on the host it leaves."""

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
    Step,
)
from domwarden_tpm_migrate import directories, tool
from domwarden_tpm_migrate.keys import fingerprint
from domwarden_tpm_migrate.options import Move, Options, ToolSettings
from domwarden_tpm_migrate.places import Carrier, Places, carrier


class SourceJobs:
    """One TPM that leaves."""

    def __init__(self, domain: Domain, options: Options) -> None:
        self._domain = domain
        self._options = options
        self._carrier = carrier(domain)
        self._tool = ToolSettings.of(domain.host)

    @property
    def uses_tool(self) -> bool:
        """Whether the external tool takes part."""
        return self._options.move is Move.TOOL

    def refusal(self) -> Refusal | None:
        """Refuse what needs no look at anything."""
        if self._options.move is Move.UNKNOWN:
            return Refusal(
                "no-move",
                "nothing says how the TPM's state moves",
                "write move: stream, or move: tool with a tool in the host file",
            )
        if self.uses_tool and not self._tool.command:
            return Refusal(
                "no-tool",
                "the host file names no external tool for TPMs",
                "write drivers: {tpm: {tool: [/path/to/tool]}}, or use move: stream",
            )
        if not self.uses_tool and self._carrier is Carrier.UNKNOWN:
            return Refusal(
                "no-stream",
                f"the stream of engine {self._domain.definition.engine} carries no TPM",
                "use move: tool with a tool in the host file",
            )
        return None

    async def test(self, _context: JobContext) -> dict[str, Any] | list[Refusal]:
        """Ask the tool, and tell the other end what it will get."""
        try:
            key = await asyncio.to_thread(
                fingerprint, self._options.key_file, self._domain.migration
            )
        except PermanentError as error:
            return [Refusal("tpm-key", str(error), "correct key_file")]
        if self.uses_tool and self._domain.movement is Movement.MIGRATE:
            # Xend asked only about moves over the network, never about saves.
            try:
                await tool.call(self._tool, tool.arguments(self._domain, Step.TEST))
            except PermanentError as error:
                return [Refusal("tool-refused", str(error), "make the tool ready, then try again")]
        return {
            "tpm": str(self._options.model),
            "move": str(self._options.move),
            "carrier": str(self._carrier),
            "key": key,
        }

    async def step(self, step: Step, _context: JobContext) -> dict[str, Any] | None:
        """Take one of the later steps."""
        needs_file = self.uses_tool or self._domain.movement is Movement.SAVE
        if step is Step.START and self._carrier is Carrier.MODEL and needs_file:
            await self._store()
        if self.uses_tool:
            await tool.call(self._tool, tool.arguments(self._domain, step))
        if step is Step.SYNC:
            return {**(self._domain.given or {}), **await self._saved()}
        return None

    async def recover(self, step: Step, _context: JobContext) -> None:
        """Tell the tool how far it came; nothing of ours was touched."""
        if self.uses_tool and self._tool.command:
            more = tool.arguments(self._domain, step, recover=True)
            await tool.call(self._tool, more)

    async def finish(self, _context: JobContext) -> None:
        """Take the state's name away: nothing starts from it any more.

        After a crash this may come again when even the renamed state is gone.
        """
        places = Places.of(self._domain)
        if places.state.is_dir() and not places.departed.is_dir():
            await asyncio.to_thread(directories.rename, places.state, places.departed)

    async def _store(self) -> None:
        """Let the suspended machine's model write down everything."""
        control = self._domain.control(EmbeddedControl)
        assert control is not None  # that is what made it the carrier
        directory = str(Places.of(self._domain).state)
        await control.command(self._domain.device, "store", {"directory": directory})

    async def _saved(self) -> dict[str, Any]:
        """Remember what a save's restore will find in the state's place."""
        if self._domain.movement is not Movement.SAVE or self._carrier is Carrier.UNKNOWN:
            return {}
        state = Places.of(self._domain).state
        return {"digest": await asyncio.to_thread(directories.digest, state)}
