"""A tiny honest hypervisor whose domains are files, so that they outlive every process."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from domwarden.contract import (
    Action,
    Address,
    Armed,
    Definition,
    Engine,
    EngineError,
    Event,
    Host,
    Incoming,
    Observation,
    OnProgress,
    Outgoing,
    Progress,
    Reading,
    Refusal,
    Room,
    RunState,
)


@dataclasses.dataclass
class Faults:
    """What shall go wrong in the hypervisors, by (host, command): raised once each."""

    before: dict[tuple[str, str], Exception] = dataclasses.field(default_factory=dict)
    after: dict[tuple[str, str], Exception] = dataclasses.field(default_factory=dict)


class ToyEngine(Engine):
    """A hypervisor whose every domain is a file; a guest is its memory, a string."""

    OUTLIVES = True

    def __init__(self, host: Host, faults: Faults | None = None) -> None:
        super().__init__(host)
        self.directory = host.state_directory / "hypervisor"
        self.faults = faults or Faults()

    def file(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def read(self, name: str) -> dict[str, Any]:
        try:
            data: dict[str, Any] = json.loads(self.file(name).read_text())
        except FileNotFoundError:
            return {"state": "absent", "memory": ""}
        return data

    def write(self, name: str, **changes: Any) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        new = {**self.read(name), **changes}
        partial = self.file(name).with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(new))
        partial.rename(self.file(name))

    def fault(self, when: dict[tuple[str, str], Exception], command: str) -> None:
        error = when.pop((self.host.name, command), None)
        if error is not None:
            raise error

    async def realize(self, definition: Definition, room: Room) -> Definition:
        return dataclasses.replace(definition, live={"machine": "toy-1"})

    async def start(self, definition: Definition, room: Room, *, held: bool = False) -> None:
        self.fault(self.faults.before, "start")
        assert definition.live["machine"] == "toy-1"
        self.write(definition.name, state="paused" if held else "running", memory="boot")

    async def stop(self, name: str, *, graceful_seconds: float = 0.0) -> None:
        self.fault(self.faults.before, "stop")
        self.file(name).unlink(missing_ok=True)

    async def pause(self, name: str) -> None:
        assert self.read(name)["state"] == "running"
        self.write(name, state="paused")

    async def resume(self, name: str) -> None:
        assert self.read(name)["state"] == "paused"
        self.write(name, state="running")

    async def reset(self, name: str) -> None:
        self.write(name, memory="boot")

    async def observe(self, name: str) -> Observation:
        return Observation(RunState(self.read(name)["state"]))

    async def domains(self) -> Sequence[str]:
        return sorted(path.stem for path in self.directory.glob("*.json"))

    async def events(self, name: str) -> AsyncIterator[Event]:  # type: ignore[override]  # a generator
        return
        yield

    async def act(self, name: str, action: Action) -> None:
        raise EngineError("the toy has no actions")

    async def read_watchdog(self, name: str) -> Reading:
        self.fault(self.faults.before, "read_watchdog")
        return Reading(armed=Armed(self.read(name).get("armed", Armed.UNKNOWN)))

    def control(self, name: str, protocol: type) -> object | None:
        return None

    def outgoing(self, definition: Definition, migration: str, peer: str = "") -> Outgoing:
        return ToyOutgoing(self, definition.name)

    def incoming(self, name: str, migration: str, peer: str = "") -> Incoming:
        return ToyIncoming(self, name)


class ToyOutgoing(Outgoing):
    def __init__(self, engine: ToyEngine, name: str) -> None:
        self.engine = engine
        self.name = name

    async def blockers(self) -> Sequence[Refusal]:
        words = self.engine.read(self.name).get("blockers", [])
        return [Refusal(word, f"{word} is in the way", "remove it") for word in words]

    async def precopy(self, address: Address, progress: OnProgress) -> None:
        self.engine.fault(self.engine.faults.before, "precopy")
        progress(Progress(total_bytes=4, transferred_bytes=4))
        self.engine.write(self.name, address=dict(address))
        self.engine.fault(self.engine.faults.after, "precopy")

    async def suspend(self) -> None:
        self.engine.fault(self.engine.faults.before, "suspend")
        self.engine.write(self.name, state="suspended")
        self.engine.fault(self.engine.faults.after, "suspend")

    async def complete(self, progress: OnProgress) -> None:
        self.engine.fault(self.engine.faults.before, "complete")
        progress(Progress(total_bytes=4, transferred_bytes=4, iteration=2))
        copy = self.engine.read(self.name)
        path = copy["address"].get("file") or copy["address"]["stream"]
        await asyncio.to_thread(_send, Path(path), copy["memory"])
        self.engine.write(self.name, state="departed")
        self.engine.fault(self.engine.faults.after, "complete")

    async def downtime_seconds(self) -> float | None:
        return 0.001

    async def abort(self, *, resume: bool) -> None:
        self.engine.fault(self.engine.faults.before, "abort")
        state = self.engine.read(self.name)["state"]
        if self.engine.read(self.name).get("stubborn"):
            raise EngineError("it does not come to itself")
        if state in {"suspended", "departed"}:
            self.engine.write(self.name, state="running" if resume else "paused")
        elif state not in {"running", "paused"}:
            raise EngineError(f"nothing to resume: {state}")


class ToyIncoming(Incoming):
    def __init__(self, engine: ToyEngine, name: str) -> None:
        self.engine = engine
        self.name = name

    async def refusals(self, definition: Definition) -> Sequence[Refusal]:
        words = self.engine.read(self.name).get("unwelcome", [])
        return [Refusal(word, f"this host has no {word}", "go elsewhere") for word in words]

    async def listen(
        self, definition: Definition, room: Room, source: Address | None = None
    ) -> Address:
        self.engine.fault(self.engine.faults.before, "listen")
        assert self.engine.read(self.name)["state"] == "absent"
        assert definition.live["machine"] == "toy-1"
        stream = source["file"] if source else str(self.engine.directory / f"{self.name}.stream")
        self.engine.write(self.name, state="incoming", stream=stream)
        if source is None:
            await asyncio.to_thread(Path(stream).unlink, missing_ok=True)
        return {"stream": stream}

    async def received(self) -> None:
        self.engine.fault(self.engine.faults.before, "received")
        stream = Path(self.engine.read(self.name)["stream"])
        while not await asyncio.to_thread(stream.exists):
            pass  # the source's end is under way
        memory = await asyncio.to_thread(stream.read_text)
        self.engine.write(self.name, state="received", memory=memory)

    async def activate(self, *, run: bool) -> None:
        self.engine.fault(self.engine.faults.before, "activate")
        state = self.engine.read(self.name)["state"]
        if state not in {"received", "paused", "running"}:
            raise EngineError(f"cannot run what is {state}")
        if state != "running":
            self.engine.write(self.name, state="running" if run else "paused")
        self.engine.fault(self.engine.faults.after, "activate")

    async def discard(self) -> None:
        self.engine.fault(self.engine.faults.before, "discard")
        state = self.engine.read(self.name)["state"]
        assert state in {"incoming", "received", "absent", "ended"}, state
        self.engine.file(self.name).unlink(missing_ok=True)


def _send(stream: Path, memory: str) -> None:
    """Write it so that it is there whole or not at all."""
    partial = stream.with_suffix(".partial")
    partial.write_text(memory)
    partial.rename(stream)
