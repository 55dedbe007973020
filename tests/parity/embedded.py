"""A domain on the embedded engine, with the driver ``xen_wdt`` and time in the test's hand."""

from __future__ import annotations

from domwarden.contract import (
    SCHED_OP,
    SCHED_WATCHDOG,
    SCHEDOP_WATCHDOG,
    Action,
    Domain,
    Host,
    RunState,
    WatchdogEntry,
)
from domwarden.testing.machine import DeviceBench
from domwarden_xen_wdt import XenWdt

from .scenarios import EXPIRED, RUNS, RawSubject

_SCRATCH = 0x8000


class EmbeddedDomain(RawSubject):
    """The action is ``notify``: what Xen would end lives on, and can be asked what it sees."""

    def __init__(self) -> None:
        self._bench = _bench()
        self._bench.power_on()

    async def call(self, timer: int, seconds: int) -> int | None:
        return self._make(SCHEDOP_WATCHDOG, timer, seconds)

    async def wait(self, seconds: float) -> None:
        self._bench.advance(seconds)

    async def state(self) -> str:
        return EXPIRED if self._bench.expiries else RUNS

    async def pause(self) -> None:
        self._bench.machine.become(RunState.PAUSED)

    async def save_and_restore(self) -> None:
        restored = _bench()
        self._bench.move_to(restored)
        self._bench = restored

    async def checkpoint(self) -> None:
        self._bench.machine.become(RunState.SUSPENDED)
        self._bench.machine.become(RunState.RUNNING)

    async def other_command(self, command: int) -> int:
        return self._make(command, 0, 600)

    async def bad_pointer(self) -> int:
        end = self._bench.machine.memory.size_bytes
        return self._bench.machine.hypercall(SCHED_OP, SCHEDOP_WATCHDOG, end)

    def _make(self, command: int, timer: int, seconds: int) -> int:
        machine = self._bench.machine
        machine.memory.write(_SCRATCH, SCHED_WATCHDOG.pack(timer, seconds))
        return machine.hypercall(SCHED_OP, command, _SCRATCH)


def _bench() -> DeviceBench:
    made = DeviceBench(watchdog=WatchdogEntry("xen_wdt", action=Action.NOTIFY))
    domain = Domain(made.definition, Host("a", None), device="watchdog")  # type: ignore[arg-type]  # it keeps no state there
    assert XenWdt("watchdog", {}).attach(domain, made.machine)
    return made
