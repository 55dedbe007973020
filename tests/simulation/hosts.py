"""A simulated host: its disk, its hypervisor, the processes that run on it."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import random
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from domwarden.contract import (
    DomwardenError,
    EngineError,
    Event,
    Host,
    OutcomeUnknownError,
    Room,
    Stream,
)
from domwarden.embedded import EmbeddedEngine, Hypervisor
from domwarden.embedded.backend import no_note
from domwarden.embedded.clock import NS, TimedWork
from domwarden.embedded.process_service import ProcessService
from domwarden.embedded.service import Call, Note

from .devices import Part
from .disk import Disk
from .oracle import Oracle
from .process import CALL, CALLER, PROCESS, Process

#: The time of day when a simulation's clock shows 0.
UNIX_SECONDS = 1_700_000_000.0


class HostClock:
    """The loop's time as a hypervisor has it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, process: Process) -> None:
        self._loop = loop
        self._process = process
        self._timer: asyncio.TimerHandle | None = None

    def now_ns(self) -> int:
        return round(self._loop.time() * NS)

    def unix_seconds(self) -> float:
        return UNIX_SECONDS + self._loop.time()

    def attach(self, work: TimedWork) -> Callable[[], None]:
        def plan() -> None:
            if self._timer is not None:
                self._timer.cancel()
            at = work.next_ns()
            if at is not None:
                when = max(at / NS, self._loop.time()) + 1e-6
                self._timer = self._loop.call_at(when, due, context=self._process.context)

        def due() -> None:
            work.run_due()
            plan()

        return plan

    async def spend(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SimHost:
    """One host; everything but its disk and its devices' holdings dies with its power."""

    def __init__(self, name: str, directory: Path, rng: random.Random, oracle: Oracle) -> None:
        # Plain: no certificates are simulated, and without them every move would be refused.
        listen = {"embedded": {"listen": name}}
        self.host = Host(name, directory / name, listen, streams=Stream.PLAIN)
        self.name = name
        self.disk = Disk()
        self.part = Part(rng)
        self.rng = rng
        self.oracle = oracle
        #: In the order of their start; a set's would not be the same twice.
        self.processes: dict[Process, None] = {}
        self.up = False
        #: How likely a command fails before it acts, or loses its answer.
        self.engine_faults = 0.0
        self.hypervisor_process: Process
        self.hypervisor: Hypervisor
        self._service: ProcessService

    def boot(self) -> None:
        self.up = True
        self.launch()

    def process(self, name: str, verb: str = "") -> Process:
        made = Process(self, name, verb)
        self.processes[made] = None
        return made

    def launch(self) -> None:
        """Start a hypervisor's process, which knows what an earlier one lost."""
        self.hypervisor_process = process = self.process("hypervisor")
        loop = asyncio.get_running_loop()
        self.hypervisor = Hypervisor(HostClock(loop, process))
        self.host.state_directory.mkdir(exist_ok=True)
        self._service = ProcessService(self.hypervisor, self.host.state_directory)

    def kill_hypervisor(self) -> None:
        """Its domains die with it."""
        self.hypervisor_process.kill()
        self.oracle.power_loss = True
        for copy in list(self.hypervisor._copies.values()):
            self.oracle.destroyed(self.name, copy.machine)
        self.oracle.power_loss = False

    def lose_journal(self, *, mark_too: bool) -> None:
        """Have another disk, or lose its journal but not the mark that there was one."""
        self.disk.replaced()
        (self.host.state_directory / "journal.sqlite").unlink(missing_ok=True)
        if mark_too:
            shutil.rmtree(self.host.state_directory)
            self.host.state_directory.mkdir()
            self.part.open.clear()

    def begin_anew(self) -> bool:
        """Remove the mark of a journal that was lost, as a person who looked at the host does."""
        state = self.host.state_directory
        if (state / "journal.sqlite").exists() or not (state / "journal.id").exists():
            return False
        (state / "journal.id").unlink()
        self.part.open.clear()
        return True

    def engine(self) -> EmbeddedEngine:
        engine = EmbeddedEngine(self.host, self.hypervisor)
        engine._backend = Backend(self)
        return engine

    async def carry_out(self, call: Call, caller: Process | None) -> Any:
        CALLER.set(caller)
        CALL.set((call.method, str(call.arguments.get("migration", ""))))
        return await self._service.call(call)


@dataclasses.dataclass
class Backend:
    """Carries calls to the host's hypervisor as a socket does: a call outlives its caller."""

    host: SimHost

    async def call(
        self,
        method: str,
        arguments: Mapping[str, Any],
        *,
        room: Room | None = None,
        note: Note = no_note,
        timeout_seconds: float = 10.0,
    ) -> Any:
        host = self.host
        if not host.hypervisor_process.alive:
            host.launch()
        process = host.hypervisor_process
        fault = self._fault(method)
        await asyncio.sleep(host.rng.uniform(0.0001, 0.001))
        if fault == "refused":
            raise EngineError("the simulated hypervisor does not want to", command=method)
        caller = PROCESS.get()
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()

        def noted(data: Mapping[str, Any]) -> None:
            loop.call_soon(note, data, context=context)  # its process hears it, not the hypervisor

        call = Call(host.host, method, arguments, noted, lambda _definition, _host: room)
        answer: asyncio.Future[Any] = loop.create_future()

        async def work() -> None:
            try:
                result = await host.carry_out(call, caller)
            except DomwardenError as error:
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(result)

        def died() -> None:
            if not answer.done():
                answer.set_exception(
                    OutcomeUnknownError("the hypervisor ended without an answer", command=method)
                )

        if process.alive:
            task = loop.create_task(work(), context=process.context.run(contextvars.copy_context))
            process.tasks.append(task)
            process.at_end.append(died)
        else:
            died()
        try:
            async with asyncio.timeout(timeout_seconds):
                result = await asyncio.shield(answer)
        except TimeoutError:
            why = f"the simulated hypervisor did not answer within {timeout_seconds:g} s"
            raise OutcomeUnknownError(why, command=method) from None
        finally:
            answer.add_done_callback(_seen)
        if fault == "unanswered":
            raise OutcomeUnknownError("the simulated answer was lost", command=method)
        return result

    def _fault(self, method: str) -> str:
        host = self.host
        if method == "observe" or host.rng.random() >= host.engine_faults:
            return ""
        return host.rng.choice(["refused", "unanswered"])

    def events(self, name: str) -> AsyncIterator[Event]:
        raise NotImplementedError(name)  # nobody supervises in a simulation


def _seen(answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled():
        answer.exception()
