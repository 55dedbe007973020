"""The engine contract kit notices an engine that breaks its promises."""

import contextlib
import inspect

import pytest

from domwarden.contract import DomwardenError, Event, EventKind, Reading, ResetKind, RunState
from domwarden.embedded.hypervisor import Hypervisor
from domwarden.embedded.machine import EmbeddedMachine
from domwarden.embedded.moves import Moves
from domwarden.embedded.stream.receive import Receiving
from domwarden.testing.engines import BrokenPromiseError, engine_checks

from .helpers import OneTimer, make_bench

ORIGINAL_BECOME = EmbeddedMachine.become
ORIGINAL_CALL = OneTimer.call
CHECKS = {check.__name__: check for check in engine_checks()}


def do_nothing(*_given, **_named):
    return None


async def do_nothing_soon(*_given, **_named):
    return None


def act_on_activated(self, host, name, migration):
    copy = self._hypervisor.find(host, name)
    if copy is not None:
        self._hypervisor.destroy(copy)


def abort_to_running(self, host, name, migration, *, resume):
    with self._hypervisor.changing(self._hypervisor.copy(host, name)) as machine:
        machine.become(RunState.RUNNING)


def abort_to_paused(self, host, name, migration, *, resume):
    with self._hypervisor.changing(self._hypervisor.copy(host, name)) as machine:
        machine.become(RunState.PAUSED)


def activate_running(self, host, name, migration, *, run):
    with self._hypervisor.changing(self._hypervisor.copy(host, name)) as machine:
        machine.become(RunState.RUNNING)


def suspend_without_stopping(self, state, detail=""):
    ORIGINAL_BECOME(self, RunState.RUNNING if state is RunState.PAUSED else state, detail)


def start_running(self, host, definition, room, *, held):
    old = self.find(host, definition.name)
    if old is not None:
        self.destroy(old)
    self._power_on(self.create(host, definition, room))


def power_on_at_activation(self, host, name, migration, *, run):
    activate_running(self, host, name, migration, run=run)
    self._hypervisor.copy(host, name).machine.reset(ResetKind.POWER_ON)


def call_without_kicks(self, command, argument):
    if command == 6 and argument[:1] == b"\1" and self.timeout == 4:
        return 0
    return ORIGINAL_CALL(self, command, argument)


async def follow_forever(self, host, name):
    yield Event(EventKind.PAUSED, 0.0)


@pytest.mark.parametrize(
    ("check", "owner", "method", "sabotage"),
    [
        ("check_start_observe_stop", Hypervisor, "stop", do_nothing_soon),
        ("check_start_refuses_a_second_copy", Hypervisor, "start", start_running),
        ("check_held_start", Hypervisor, "start", start_running),
        ("check_pause_and_resume", Hypervisor, "pause", do_nothing),
        ("check_paused_clock", EmbeddedMachine, "become", suspend_without_stopping),
        ("check_pause_and_resume", Hypervisor, "resume", do_nothing),
        ("check_reset", Hypervisor, "reset", do_nothing),
        ("check_graceful_stop", EmbeddedMachine, "notify_guest", do_nothing),
        ("check_events", Hypervisor, "events", follow_forever),
        ("check_unknown_domain", Hypervisor, "pause", do_nothing),
        ("check_move", Moves, "suspend", do_nothing),
        ("check_move", Moves, "activate", power_on_at_activation),
        ("check_move", Receiving, "_finish", do_nothing),
        ("check_paused_arrives_paused", Moves, "activate", activate_running),
        ("check_abort_while_suspended", Moves, "abort", abort_to_paused),
        ("check_abort_of_a_paused_domain", Moves, "abort", abort_to_running),
        ("check_abort_after_complete", Moves, "discard", do_nothing),
        ("check_discard_spares_an_activated_copy", Moves, "discard", act_on_activated),
        ("check_unreachable_destination", Moves, "precopy", do_nothing_soon),
        ("check_save_and_restore", Moves, "activate", power_on_at_activation),
        ("check_watchdog_spares_a_live_guest", OneTimer, "call", call_without_kicks),
        ("check_watchdog_resets_a_hung_guest", OneTimer, "fire", do_nothing),
        ("check_watchdog_travels", OneTimer, "load", do_nothing),
        ("check_watchdog_can_be_read", Hypervisor, "read_watchdog", lambda *_given: Reading()),
    ],
)
async def test_broken_promise_is_noticed(check, owner, method, sabotage, tmp_path, monkeypatch):
    monkeypatch.setattr(owner, method, sabotage)
    monkeypatch.setattr("domwarden.testing.engines.bench.LIMIT_SECONDS", 1.0)

    @contextlib.asynccontextmanager
    async def make():
        bench = make_bench(tmp_path)
        try:
            yield bench
        finally:
            await bench.close()

    with pytest.raises((BrokenPromiseError, DomwardenError)):
        await CHECKS[check](make)


def test_every_check_says_what_it_promises():
    assert len(CHECKS) >= 20
    for check in CHECKS.values():
        assert inspect.getdoc(check), check
