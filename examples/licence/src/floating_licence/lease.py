"""One licence as one file, whose name says who has it.

::

    cad.free                   nobody
    cad.held.HOST.DOMAIN       that host, for that domain
    cad.moving.MIGRATION       laid down for the other end of that migration

The administrator of the licences makes the first file.  Each change is one ``rename``, of which a
file system (NFS too) lets one host win and tells the others ENOENT; repeating one does no harm.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from domwarden.contract import (
    Domain,
    End,
    JobContext,
    Movement,
    PermanentError,
    Refusal,
    Ticket,
    TransientError,
)


class Lease:
    """What a job may do to the licence; ``directory`` is where this host mounts them all."""

    def __init__(self, name: str, domain: Domain, directory: str | None) -> None:
        self._name = name
        self._domain = domain
        self._directory = Path(directory) if directory else None

    async def look(self, _context: JobContext) -> Ticket | Refusal:
        """At the source: tell the destination which file it must see."""
        return await asyncio.to_thread(self._look)

    def _look(self) -> Ticket | Refusal:
        unreachable = self._unreachable()
        if unreachable:
            return unreachable
        if not self._held(self._domain.host.name).exists():
            return Refusal(
                "licence-lost",
                f"the licence {self._name} is not at {self._domain.host.name}, {self._holder()}",
                f"find out who took it from {self._domain.name}",
            )
        return {"file": self._held(self._domain.host.name).name}

    async def look_from_afar(self, _context: JobContext) -> Refusal | None:
        """At the destination: the same file must be here, or a restore would find none free."""
        return await asyncio.to_thread(self._look_from_afar)

    def _look_from_afar(self) -> Refusal | None:
        unreachable = self._unreachable()
        if unreachable:
            return unreachable
        if self._domain.movement is Movement.RESTORE:
            if self._free().exists():
                return None
            return Refusal(
                "licence-taken",
                f"the licence {self._name} is not free, {self._holder()}",
                "stop the domain that uses it, or buy another one",
            )
        wanted = (self._domain.ticket or {}).get("file", "")
        if wanted and (self._root() / wanted).exists():
            return None
        return Refusal(
            "licence-elsewhere",
            f"{self._domain.host.name} does not see the licence {self._name} in {self._directory}",
            "mount the same directory as on the source",
        )

    async def try_share(self, _context: JobContext) -> None:
        """At the destination, while the guest still runs: rename a file, as `pick_up` will.

        Raises PermanentError for a share that this host cannot write.
        """

        def try_it() -> None:
            trial = self._trial()
            try:
                trial.touch()
                trial.rename(trial.with_suffix(".renamed"))
            finally:
                self._forget_trial()

        try:
            await asyncio.to_thread(try_it)
        except OSError as error:
            raise PermanentError(
                f"{self._domain.host.name} cannot write in {self._directory}: {error.strerror}",
                hint="mount the licences for reading and writing",
            ) from error

    async def take(self, _context: JobContext) -> None:
        """Start: take a free licence."""
        await self._become(self._held(self._domain.host.name), self._free())

    async def lay_down(self, _context: JobContext) -> None:
        """At the source: let the other end of this migration, and nobody else, pick it up."""
        await self._become(self._moving(), self._held(self._domain.host.name))

    async def pick_up(self, _context: JobContext) -> None:
        """At the destination: take what the source laid down; for a restore, a free one."""
        restored = self._domain.movement is Movement.RESTORE
        laid = self._free() if restored else self._moving()
        await self._become(self._held(self._domain.host.name), laid)

    async def put_back(self, _context: JobContext) -> None:
        """Undo: the destination lays it down again, the source takes it from wherever it is."""
        await asyncio.to_thread(self._forget_trial)
        here = self._held(self._domain.host.name)
        if self._domain.movement is Movement.RESTORE:
            await self._try(self._free(), here)
        elif self._domain.end is End.DESTINATION:
            await self._try(self._moving(), here)
        elif self._domain.movement is Movement.SAVE:
            await self._become(here, self._moving())
        else:  # a destination that died after it had picked the licence up never gives it back
            await self._become(here, self._moving(), self._held(self._domain.peer))

    async def give_back(self, _context: JobContext) -> None:
        """After the end: free what this host holds, and what it laid down for a save."""
        held = [self._held(self._domain.host.name)]
        if self._domain.movement is Movement.SAVE:
            held.append(self._moving())
        await self._try(self._free(), *held)

    async def _become(self, wanted: Path, *sources: Path) -> None:
        """Rename the first source that exists; raises when the licence is somebody else's."""
        if not await self._try(wanted, *sources):
            holder = await asyncio.to_thread(self._holder)
            raise PermanentError(
                f"the licence {self._name} cannot be taken, {holder}",
                hint="see who uses it; the domain must not run without it",
            )

    async def _try(self, wanted: Path, *sources: Path) -> bool:
        """Return whether the licence is now under the wanted name."""

        def rename() -> bool:
            for source in sources:
                try:
                    source.rename(wanted)
                except FileNotFoundError:
                    continue
                return True
            return wanted.exists()

        try:
            return await asyncio.to_thread(rename)
        except OSError as error:  # a share that hangs or is being remounted
            raise TransientError(f"{self._directory}: {error.strerror}") from error

    def _unreachable(self) -> Refusal | None:
        if self._directory is not None and self._directory.is_dir():
            return None
        return Refusal(
            "no-licences",
            f"{self._domain.host.name} does not reach the licences in {self._directory}",
            "mount them, and name the directory under drivers: licence: in the host file",
        )

    def _holder(self) -> str:
        """Say in words who has it."""
        for found in self._root().glob(f"{self._name}.*"):
            _, state, *who = found.name.split(".", 3)
            if state == "held" and len(who) == 2:
                return f"{who[0]} holds it for {who[1]}"
            return "nobody holds it" if state == "free" else f"it is {state} ({'.'.join(who)})"
        return f"there is none of that name in {self._directory}"

    def _free(self) -> Path:
        return self._root() / f"{self._name}.free"

    def _held(self, host: str) -> Path:
        return self._root() / f"{self._name}.held.{host}.{self._domain.name}"

    def _moving(self) -> Path:
        return self._root() / f"{self._name}.moving.{self._domain.migration}"

    def _trial(self) -> Path:
        # Hidden: it is not one of the licence's states.
        return self._root() / f".{self._name}.{self._domain.migration}.trial"

    def _forget_trial(self) -> None:
        for trial in (self._trial(), self._trial().with_suffix(".renamed")):
            if trial.exists():  # a share that is read-only refuses to remove what is not there
                trial.unlink(missing_ok=True)

    def _root(self) -> Path:
        if self._directory is None:
            raise PermanentError(
                "this host file has no directory of licences",
                hint="add drivers: {licence: {directory: PATH}}",
            )
        return self._directory
