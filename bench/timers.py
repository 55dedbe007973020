"""Armed watchdog timers of the embedded hypervisor, held and kicked."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from pathlib import Path

from domwarden.contract import (
    SCHED_OP,
    SCHED_WATCHDOG,
    SCHEDOP_WATCHDOG,
    Action,
    Armed,
    Definition,
    Host,
    RunState,
    WatchdogEntry,
)
from domwarden.embedded.clock import ManualClock
from domwarden.embedded.copies import Copy
from domwarden.embedded.engine import EmbeddedEngine
from domwarden.embedded.hypervisor import Hypervisor
from domwarden.plugins import open_room

from .report import Goal, Report
from .sampling import interleaved, processor_seconds

COUNTS = (1, 1_000, 100_000)
#: What "independent of the number" leaves for noise: a heap's log2(100,000) would be 17.
GOAL_RATIO = 1.5
KICKS = 20_000
TIMEOUT_SECONDS = 30
#: A guest kicks several times within a time-out, so that each timer's deadline moves on and on.
KICKS_A_TIMEOUT = 4
TIMERS_A_DOMAIN = 2
_POINTER = 0x1000


class Held:
    """Domains of one hypervisor whose timers are all armed through their hypercall."""

    def __init__(self, timers: int) -> None:
        before = _resident_kib()
        self.clock = ManualClock()
        self.hypervisor = Hypervisor(self.clock)
        host = Host("a", Path("/nowhere"))
        engine = EmbeddedEngine(host, self.hypervisor)
        room = open_room(_definition(0), host, engine)
        self.timers: list[tuple[Copy, int]] = []
        while len(self.timers) < timers:
            definition = _definition(len(self.timers))
            copy = self.hypervisor.create(host, definition, room)
            # No kernel is booted: the bench plays the guest, and memory holds its arguments only.
            copy.machine.become(RunState.RUNNING)
            for _ in range(min(TIMERS_A_DOMAIN, timers - len(self.timers))):
                number = self.call(copy, 0)
                address = _POINTER + number * SCHED_WATCHDOG.size
                copy.machine.memory.write(address, SCHED_WATCHDOG.pack(number, TIMEOUT_SECONDS))
                self.timers.append((copy, address))
        self.kib_a_timer = (_resident_kib() - before) / timers
        self._next = 0

    def call(self, copy: Copy, number: int) -> int:
        """Make one watchdog hypercall; returns what the hypervisor answers."""
        copy.machine.memory.write(_POINTER, SCHED_WATCHDOG.pack(number, TIMEOUT_SECONDS))
        with self.hypervisor.changing(copy) as machine:
            return machine.hypercall(SCHED_OP, SCHEDOP_WATCHDOG, _POINTER)

    def in_turn(self, kicks: int) -> None:
        """Kick one timer after the other while time passes, so that each is kicked in time."""
        step = TIMEOUT_SECONDS / KICKS_A_TIMEOUT / len(self.timers)
        changing, advance, timers = self.hypervisor.changing, self.clock.advance, self.timers
        for _ in range(kicks):
            self._next = (self._next + 1) % len(timers)
            copy, address = timers[self._next]
            with changing(copy) as machine:
                machine.hypercall(SCHED_OP, SCHEDOP_WATCHDOG, address)
            advance(step)

    def one(self, kicks: int) -> None:
        """Kick the same timer again and again among the others."""
        copy, address = self.timers[len(self.timers) // 2]
        changing = self.hypervisor.changing
        for _ in range(kicks):
            with changing(copy) as machine:
                machine.hypercall(SCHED_OP, SCHEDOP_WATCHDOG, address)

    def all_armed(self) -> bool:
        """Say whether every domain's timers are armed and none has fired."""
        return all(
            copy.machine.state is RunState.RUNNING
            and copy.machine.read_watchdog().armed is Armed.ARMED
            for copy, _ in self.timers
        )


class LoopTimers:
    """The peer: as many timers of an asyncio loop, re-armed by cancel and call_later."""

    def __init__(self, timers: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.handles = [self._arm() for _ in range(timers)]
        self._next = 0

    def _arm(self) -> asyncio.TimerHandle:
        return self.loop.call_later(3600, lambda: None)

    def in_turn(self, kicks: int) -> None:
        """Re-arm one after the other; the loop gets its turn to forget cancelled ones."""
        for kick in range(kicks):
            self._next = (self._next + 1) % len(self.handles)
            self.handles[self._next].cancel()
            self.handles[self._next] = self._arm()
            if kick % 1000 == 999:
                self.loop.run_until_complete(asyncio.sleep(0))


def run(*, quick: bool) -> Report:
    """Measure kicks among 1, 1,000 and 100,000 armed timers."""
    counts = COUNTS[:2] if quick else COUNTS
    kicks = 1000 if quick else KICKS
    begun = time.monotonic()
    held = {count: Held(count) for count in counts}
    loops = {count: LoopTimers(count) for count in counts}
    for each in held.values():
        # Deadlines armed at one moment come up at one moment; a while later they are spread.
        each.in_turn((KICKS_A_TIMEOUT + 1) * len(each.timers))
    made = time.monotonic() - begun
    gc.freeze()  # what is held is not the collector's concern while kicks are counted
    contenders: dict[str, Callable[[], float]] = {}
    for count in counts:
        contenders[f"one {count}"] = _batch(held[count].one, kicks)
        contenders[f"turn {count}"] = _batch(held[count].in_turn, kicks)
        contenders[f"loop {count}"] = _batch(loops[count].in_turn, kicks)
    try:
        samples = interleaved(contenders, 2 if quick else 10)
    finally:
        gc.unfreeze()
    if not all(each.all_armed() for each in held.values()):
        raise RuntimeError("a timer that was kicked in time has fired")
    report = Report("timers", "kicking an armed watchdog timer by hypercall, processor time")
    kinds = {
        "one": "the same timer again and again among {:,}",
        "turn": "each of {:,} in turn, time passing",
        "loop": "peer: asyncio cancel and call_later, each of {:,} in turn",
    }
    for name, words in kinds.items():
        alone = samples[f"{name} 1"]
        for count in counts:
            of_count = samples[f"{name} {count}"]
            peer = ("1 timer", alone) if count > 1 else None
            figure = report.add(words.format(count), "µs", of_count, scale=1e6, peer=peer)
            if name == "turn":
                rate = 1e6 / figure.spread.median
                report.notes.append(f"{rate:,.0f} kicks a second among {count:,} in turn")
            if name != "loop" and figure.ratio is not None and count == counts[-1]:
                what = f"{words.format(count)}, to 1 timer"
                report.goals.append(Goal(what, "times", figure.ratio.median, GOAL_RATIO))
    last = held[counts[-1]]
    report.notes.append(
        f"{counts[-1]:,} timers of {len({id(c) for c, _ in last.timers}):,} domains held in"
        f" {last.kib_a_timer:.1f} KiB each; everything was set up in {made:.0f} s"
    )
    return report


def _batch(work: Callable[[int], None], kicks: int) -> Callable[[], float]:
    return lambda: processor_seconds(lambda: work(kicks)) / kicks


def _definition(number: int) -> Definition:
    watchdog = WatchdogEntry("xen_wdt", action=Action.POWEROFF, options={"clock": "host"})
    return Definition(f"d{number}", "", "embedded", 2**20, watchdog=watchdog)


def _resident_kib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4.0
