"""What the routes act on: one warden, its moves, and who follows them."""

from __future__ import annotations

import asyncio
import time

from domwarden.config import HostFile
from domwarden.migration import Moment, Ports
from domwarden.service import expiries, keeper
from domwarden.service.claims import Claims
from domwarden.service.events import Bus
from domwarden.service.metrics import Metrics
from domwarden.service.moves import Moves
from domwarden.service.operations import Operations
from domwarden.service.routes import Event
from domwarden.warden import Warden


class HostService:
    """One host for as long as the service runs; an async context manager.

    Leaving it leaves every domain running, and every move to the process that drives it.
    """

    def __init__(
        self, host_file: HostFile, *, ports: Ports | None = None, in_process: bool | None = None
    ) -> None:
        self.host_file = host_file
        self.begun_at = time.time()
        self.bus = Bus()
        self.metrics = Metrics()
        self._sleep = (ports or Ports()).sleep
        self.warden = Warden(
            host_file,
            observer=self._hear,
            ports=ports,
            in_process=in_process,
            keep_driver=not in_process,
        )
        self.looks = self.warden.looks
        self.claims = Claims(self.looks.holder)
        self._group = asyncio.TaskGroup()
        self.moves = Moves(self.looks, self.claims, self._group, self.metrics.moved)
        self.operations = Operations(self._group)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> HostService:
        await self.warden.__aenter__()
        await self._group.__aenter__()
        name = self.host_file.host.name
        watching = expiries.watch(self.looks, self.bus, self.metrics.expired)
        keeping = keeper.keep(self.warden, self.claims, self._sleep)
        self._tasks = [
            self._group.create_task(watching, name=f"{name}/expiries"),
            self._group.create_task(keeping, name=f"{name}/keeper"),
        ]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in [*self._tasks, *self.operations.tasks(), *self.moves.tasks()]:
            task.cancel()
        try:
            await self._group.__aexit__(None, None, None)
        finally:
            await self.warden.__aexit__(*exc)

    def _hear(self, moment: Moment) -> None:
        self.moves.hear(moment)
        self.operations.hear(moment)
        self.bus.tell(Event("moment", moment.as_json()))
