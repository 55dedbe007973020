"""The hypervisor's operations as plain data, the same in this process and over a socket."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from domwarden.contract import Action, Definition, EngineError, Host, Progress, Room
from domwarden.embedded.hypervisor import Hypervisor
from domwarden.embedded.moves import Moves

Note = Callable[[Mapping[str, Any]], None]
#: Makes the devices of a definition on a host.
MakeRoom = Callable[[Definition, Host], Room]


@dataclasses.dataclass(frozen=True)
class Call:
    """One operation: its name, its arguments as plain data, and where to send progress."""

    host: Host
    method: str
    arguments: Mapping[str, Any]
    note: Note
    make_room: MakeRoom

    @property
    def name(self) -> str:
        """The domain's name."""
        return str(self.arguments["name"])

    @property
    def definition(self) -> Definition:
        """The definition that came with it."""
        return Definition.from_json(self.arguments["definition"])

    async def room(self) -> Room:
        """Make its devices; loading drivers takes too long for a loop in which guests run."""
        return await asyncio.to_thread(self.make_room, self.definition, self.host)

    def progress(self, progress: Progress) -> None:
        """Send progress."""
        self.note({"progress": dataclasses.asdict(progress)})


class Service:
    """Carries out calls on one hypervisor; raises EngineError."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self.hypervisor = hypervisor
        self.moves = Moves(hypervisor)

    async def call(self, call: Call) -> Any:
        """Carry out a call; returns plain data."""
        operation = _OPERATIONS.get(call.method)
        if operation is None:
            raise EngineError(f"the embedded hypervisor has no operation {call.method!r}")
        return await operation(self, call)

    async def _start(self, call: Call) -> None:
        held = bool(call.arguments["held"])
        with self.hypervisor.makings.making(call.host, call.name):
            room = await call.room()
            self.hypervisor.start(call.host, call.definition, room, held=held)

    async def _stop(self, call: Call) -> None:
        await self.hypervisor.stop(call.host, call.name, call.arguments["graceful_seconds"])

    async def _pause(self, call: Call) -> None:
        self.hypervisor.pause(call.host, call.name)

    async def _resume(self, call: Call) -> None:
        self.hypervisor.resume(call.host, call.name)

    async def _reset(self, call: Call) -> None:
        self.hypervisor.reset(call.host, call.name)

    async def _act(self, call: Call) -> None:
        self.hypervisor.act(call.host, call.name, Action(call.arguments["action"]))

    async def _observe(self, call: Call) -> Any:
        return dataclasses.asdict(self.hypervisor.observe(call.host, call.name))

    async def _domains(self, call: Call) -> Any:
        return list(self.hypervisor.domains(call.host))

    async def _events(self, call: Call) -> None:
        async for event in self.hypervisor.events(call.host, call.name):
            call.note({"event": dataclasses.asdict(event)})

    async def _read_watchdog(self, call: Call) -> Any:
        return dataclasses.asdict(self.hypervisor.read_watchdog(call.host, call.name))

    async def _command(self, call: Call) -> Any:
        given = call.arguments
        return await self.hypervisor.command(
            call.host, call.name, given["device"], given["command"], given["arguments"]
        )

    async def _blockers(self, call: Call) -> Any:
        return [refusal.as_json() for refusal in self.moves.blockers(call.host, call.name)]

    async def _precopy(self, call: Call) -> None:
        await self.moves.precopy(
            call.host,
            call.definition,
            call.arguments["migration"],
            call.arguments["address"],
            call.progress,
            call.arguments["peer"],
        )

    async def _suspend(self, call: Call) -> None:
        self.moves.suspend(call.host, call.name, call.arguments["migration"])

    async def _complete(self, call: Call) -> None:
        migration = call.arguments["migration"]
        await self.moves.complete(call.host, call.name, migration, call.progress)

    async def _downtime(self, call: Call) -> Any:
        migration = call.arguments["migration"]
        return self.moves.downtime_seconds(call.host, call.name, migration)

    async def _abort(self, call: Call) -> None:
        given = call.arguments
        self.moves.abort(call.host, call.name, given["migration"], resume=given["resume"])

    async def _listen(self, call: Call) -> Any:
        given = call.arguments
        migration = given["migration"]
        with self.hypervisor.makings.making(call.host, call.name, migration):
            room = await call.room()
            return await self.moves.listen(
                call.host, call.definition, room, migration, given["source"], given["peer"]
            )

    async def _received(self, call: Call) -> None:
        given = call.arguments
        await self.moves.received(
            call.host, call.name, given["migration"], given["timeout_seconds"]
        )

    async def _activate(self, call: Call) -> None:
        given = call.arguments
        self.moves.activate(call.host, call.name, given["migration"], run=given["run"])

    async def _discard(self, call: Call) -> None:
        self.moves.discard(call.host, call.name, call.arguments["migration"])


_OPERATIONS: dict[str, Callable[[Service, Call], Awaitable[Any]]] = {
    name.removeprefix("_"): operation
    for name, operation in vars(Service).items()
    if name.startswith("_") and not name.startswith("__")
}
