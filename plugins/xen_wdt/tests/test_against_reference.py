"""Any sequence of calls, pauses, moves and waits gives what the reference gives."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from domwarden.contract import EventKind, RunState, WatchdogExtension

from .benches import call, make, watchdog
from .reference import Reference

IDS = st.sampled_from([0, 1, 2, 3, 0xFFFF_FFFF])


class Comparison(RuleBasedStateMachine):
    clock = "host"

    def __init__(self):
        super().__init__()
        self.bench = make(self.clock)
        self.reference = Reference()
        self.fired = []
        self.heard = []
        self.bench.machine.events.listen(self.hear)

    def hear(self, event):
        if event.kind is EventKind.WATCHDOG:
            self.heard.append(int(event.data["detail"].split()[2]))

    @property
    def now(self):
        return self.bench.seconds

    def look(self):
        self.bench.advance_ns(0)
        self.fired += self.reference.expired(self.now)

    @precondition(lambda self: self.bench.machine.state is RunState.RUNNING)
    @rule(number=IDS, timeout=st.integers(0, 20))
    def call_watchdog(self, number, timeout):
        expected = self.reference.watchdog(self.now, number, timeout)
        assert watchdog(self.bench, number, timeout) == expected
        self.look()

    @rule(tenths=st.integers(1, 300))
    def wait(self, tenths):
        before = self.now
        paused = self.bench.machine.state is RunState.PAUSED
        self.bench.advance(tenths / 10)
        if paused and self.clock == "guest":
            self.reference.shift(self.now - before)
        self.look()

    @rule()
    def pause(self):
        self.bench.machine.become(RunState.PAUSED)

    @rule()
    def resume(self):
        self.bench.machine.become(RunState.RUNNING)

    @rule(blackout=st.integers(0, 50), skew=st.integers(0, 1000))
    def move(self, blackout, skew):
        there = make(self.clock, power=False)
        there.advance(skew)
        there.machine.events.listen(self.hear)
        before, was = self.now, self.bench.machine.state
        self.bench.machine.become(RunState.SUSPENDED)
        self.bench.advance(blackout)
        self.bench.move_to(there)
        there.machine.become(RunState.RECEIVED)
        there.advance(blackout)
        there.machine.become(was)
        self.bench = there
        self.reference.shift(self.now - before)
        self.look()

    @invariant()
    def same_firings(self):
        assert self.heard == self.fired

    @invariant()
    def same_time_left(self):
        for number in (1, 2, 3):
            left = call(self.bench, WatchdogExtension.TIME_LEFT, number)
            expected = self.reference.left(self.now, number)
            assert abs(left - expected) <= 1, (number, left, expected)


class GuestClockComparison(Comparison):
    clock = "guest"


# every move makes a new machine: enough examples to meet each rule after each other one
Comparison.TestCase.settings = settings(stateful_step_count=40)
GuestClockComparison.TestCase.settings = Comparison.TestCase.settings
TestHostClock = Comparison.TestCase
TestGuestClock = GuestClockComparison.TestCase
