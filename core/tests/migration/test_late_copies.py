"""A hypervisor that is slow to make the incoming copy leaves none behind its move."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from domwarden.contract import EngineError, Host, OutcomeUnknownError, Room
from domwarden.embedded import EmbeddedEngine, Hypervisor
from domwarden.embedded.backend import LocalBackend
from domwarden.embedded.service import Call, Service
from domwarden.migration import MoveFailedError

from .embedded_world import EmbeddedWorld
from .helpers import MEMORY, move, recover, running_domain


class SlowBackend(LocalBackend):
    """Carries calls as a socket does: one that nobody waits for any more goes on."""

    def __init__(self, host: Host, hypervisor: Hypervisor, loaded: threading.Event) -> None:
        super().__init__(host, hypervisor)
        self._hypervisor = hypervisor
        self._slow_host = host
        self._loaded = loaded
        self.listening: list[asyncio.Task[Any]] = []

    async def call(
        self, method: str, arguments: Mapping[str, Any], *, room: Room | None = None, **more: Any
    ) -> Any:
        if method != "listen":
            return await super().call(method, arguments, room=room, **more)
        loading = threading.Event()

        def make_room(_definition: object, _host: object) -> Room:
            loading.set()
            assert room is not None
            assert self._loaded.wait(60)
            return room

        call = Call(self._slow_host, method, arguments, print, make_room)
        self.listening.append(asyncio.create_task(Service(self._hypervisor).call(call)))
        assert await asyncio.to_thread(loading.wait, 60)
        raise OutcomeUnknownError("the hypervisor did not answer in time", command=method)


class SlowWorld(EmbeddedWorld):
    """On host b drivers take longer to be loaded than anybody waits for."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.loaded = threading.Event()
        self.backend = SlowBackend(self.hosts["b"], self.hypervisors["b"], self.loaded)

    def engine(self, host: str) -> EmbeddedEngine:  # type: ignore[override]  # as in its parent
        engine = super().engine(host)
        if host == "b":
            engine._backend = self.backend
        return engine


async def test_no_copy_appears_after_its_move_was_given_up_and_closed(tmp_path: Path) -> None:
    """Its drivers are loaded when both ends have long been done: nobody would ever end it."""
    world = SlowWorld(tmp_path)
    await running_domain(world)
    try:
        with pytest.raises(MoveFailedError, match="did not answer in time"):
            await move(world)
        assert world.states() == {"a": "running", "b": "absent"}
        assert await recover(world, "ab") == []
        world.loaded.set()
        (left,) = await asyncio.gather(*world.backend.listening, return_exceptions=True)
        assert world.states() == {"a": "running", "b": "absent"}
        assert isinstance(left, EngineError), left
        assert world.memory("a") == MEMORY
    finally:
        world.loaded.set()
        world.close()
