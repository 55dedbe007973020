"""What the guard does at each moment, with a card at the wire and a clock in the test's hand."""

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domwarden.config import (
    CheckEntry,
    CheckKind,
    GuardFile,
    HostWatchdogEntry,
    Repair,
    default_guard,
)
from domwarden.contract import DomwardenError, WatchdogAbsentError
from domwarden.guard.guard import Guard
from domwarden.guard.health import Outcome
from domwarden.guard.watchdogs import Watchdogs, chosen

from ..plugins.throwaway import install
from .card import Card

GOOD, BAD = Outcome(True), Outcome(False, "status 1")


class Commands:
    """Stands for the running of commands: each takes ``seconds``, and ends as ``results`` say."""

    def __init__(self):
        self.results = {}
        self.seconds = 0.0
        self.slow = {}
        self.begun = []

    def __call__(self, arguments, timeout_seconds, now):
        self.begun.append((now, arguments))
        seconds = self.slow.get(arguments[0], self.seconds)
        return Command(self, arguments[0], now + seconds, now + timeout_seconds)


class Command:
    remains = False

    def __init__(self, commands, program, ends, deadline):
        self.commands, self.program, self.ends, self.deadline = commands, program, ends, deadline

    def poll(self, now):
        if now >= self.deadline:
            return Outcome(False, "no end")
        return self.commands.results.get(self.program, GOOD) if now >= self.ends else None

    def close(self):
        self.ends = float("inf")


def entry(name="disk", retries=0, every=10.0, timeout=5.0):
    options = {"run": [name], "timeout": timeout}
    return CheckEntry(name, CheckKind.COMMAND, every, retries, options)


def settings_of(checks=(), watchdogs=("card",), timeout=60, interval=10.0, repair=None, **others):
    chosen = tuple(HostWatchdogEntry(name, timeout, **others) for name in watchdogs)
    return GuardFile(interval, timeout, 300, None, False, 0, chosen, tuple(checks), repair)


class Bench:
    """A machine with cards, its guard, and time."""

    def __init__(self, directory, file, cards=("card",), **card):
        self.cards = {}
        for name in cards:
            (directory / name).mkdir(parents=True)
            self.cards[name] = Card(directory / name, **card)
        self.commands = Commands()
        self.guard = Guard(file, Watchdogs(None, self.make), self.commands)
        self.now = 0.0

    def make(self, entry, _state):
        if entry.driver not in self.cards:
            return Absent()
        return self.cards[entry.driver].driver()

    @property
    def card(self):
        return self.cards["card"]

    def run(self, seconds):
        """Let that much time pass as the daemon does: step, then wait as long as it says."""
        end = self.now + seconds
        while True:
            for card in self.cards.values():
                card.now = self.now
                assert not card.fired, f"reset at {self.now}"
            pause = self.guard.step(self.now)
            assert pause >= 0.0
            if self.now + pause > end:
                self.now = end
                return
            self.now += max(pause, 0.001)

    def fires_within(self, seconds):
        try:
            self.run(seconds)
        except AssertionError as fired:
            return str(fired).startswith("reset")
        return False


class Absent:
    def arm(self, _timeout):
        raise WatchdogAbsentError("there is none")


def test_a_healthy_machine_is_never_reset(tmp_path):
    bench = Bench(tmp_path, settings_of([entry()]))
    bench.guard.start()
    bench.run(1000)
    assert len(bench.card.kicks) >= 100
    assert len(bench.commands.begun) >= 100


def test_a_failing_check_resets_it_within_a_time_out(tmp_path):
    bench = Bench(tmp_path, settings_of([entry()]))
    bench.guard.start()
    bench.run(95)
    bench.commands.results["disk"] = BAD
    assert bench.fires_within(10 + 60 + 1)


def test_retries_are_let_pass(tmp_path):
    bench = Bench(tmp_path, settings_of([entry(retries=2)]))
    bench.guard.start()
    bench.run(5)
    bench.commands.results["disk"] = BAD
    bench.run(20)  # two failures
    bench.commands.results["disk"] = GOOD
    bench.run(300)


def test_a_hung_check_is_a_failing_one(tmp_path):
    bench = Bench(tmp_path, settings_of([entry()]))
    bench.guard.start()
    bench.commands.seconds = 1e9
    assert bench.fires_within(5 + 60 + 1)


def test_a_slow_check_is_not_begun_twice_and_kicks_go_on_beside_it(tmp_path):
    bench = Bench(tmp_path, settings_of([entry(timeout=100.0)]))
    bench.guard.start()
    bench.commands.seconds = 90.0
    bench.run(89)
    assert len(bench.commands.begun) == 1
    assert len(bench.card.kicks) >= 9


def test_a_check_that_passes_again_lets_kicking_go_on(tmp_path, caplog):
    bench = Bench(tmp_path, settings_of([entry()]))
    bench.guard.start()
    bench.run(5)
    bench.commands.results["disk"] = BAD
    bench.run(40)
    bench.commands.results["disk"] = GOOD
    bench.run(300)
    assert "kicked no more, this machine will be reset within 60 s" in caplog.text
    assert "kicked again" in caplog.text


def test_a_repair_is_given_what_failed_and_then_the_check_is_asked_again(tmp_path):
    repair = Repair(("mend", "-v"), 60.0, 1)
    bench = Bench(tmp_path, settings_of([entry(retries=1)], repair=repair))
    bench.guard.start()
    bench.run(5)
    bench.commands.results["disk"] = BAD
    bench.run(10)
    assert ["mend", "-v", "disk"] not in [run for _, run in bench.commands.begun]
    bench.run(5.5)
    assert bench.commands.begun[-2][1] == ["mend", "-v", "disk"]
    assert bench.commands.begun[-1][1] == ["disk"]
    bench.commands.results["disk"] = GOOD
    bench.run(300)


def test_kicks_go_on_during_a_repair_and_end_with_its_time(tmp_path):
    repair = Repair(("mend",), 200.0, 1)
    bench = Bench(tmp_path, settings_of([entry()], repair=repair))
    bench.guard.start()
    bench.run(5)
    bench.commands.results["disk"] = BAD
    bench.commands.slow["mend"] = 1e9
    bench.run(200)
    assert bench.commands.begun[2] == (10.0, ["mend", "disk"])
    assert bench.fires_within(20 + 60)


def test_a_repair_that_does_not_help_is_not_repeated_for_ever(tmp_path):
    """The repair succeeds, the check still fails: so often as the file says, then no more."""
    repair = Repair(("mend",), 60.0, 3)
    bench = Bench(tmp_path, settings_of([entry(retries=2)], repair=repair))
    bench.guard.start()
    bench.commands.results["disk"] = BAD
    assert bench.fires_within(300)
    assert [run for _, run in bench.commands.begun].count(["mend", "disk"]) == 3


def test_repairs_are_counted_anew_after_the_machine_was_well(tmp_path):
    repair = Repair(("mend",), 60.0, 1)
    bench = Bench(tmp_path, settings_of([entry()], repair=repair))
    bench.guard.start()
    bench.run(5)
    for _ in range(3):
        bench.commands.results["disk"] = BAD
        bench.commands.slow["mend"] = 7.0
        bench.run(11.0)  # it fails, and is being repaired
        bench.commands.results["disk"] = GOOD
        bench.run(29.0)
    assert [run for _, run in bench.commands.begun].count(["mend", "disk"]) == 3


def test_one_watchdog_works_where_the_other_is_absent(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    bench = Bench(tmp_path, settings_of(watchdogs=("xen", "card")))
    bench.guard.start()
    assert bench.guard.watchdogs.granted == {"card": 60}
    assert "watchdog xen is not used: there is none" in caplog.text
    bench.run(300)


def test_a_required_watchdog_must_be_there(tmp_path):
    """And what was armed before it is stopped: a mistake in a file must not reset the machine."""
    bench = Bench(tmp_path, settings_of(watchdogs=("card", "xen"), required=True))
    with pytest.raises(DomwardenError, match="watchdog xen: there is none"):
        bench.guard.start()
    assert not bench.card.armed


def test_a_machine_without_any_is_not_guarded(tmp_path):
    bench = Bench(tmp_path, settings_of(watchdogs=("xen",)))
    with pytest.raises(DomwardenError, match="no watchdog that could be armed"):
        bench.guard.start()


def test_a_card_that_grants_too_little_is_not_used(tmp_path, caplog):
    bench = Bench(tmp_path, settings_of(), most=19)
    bench.card.timeout = 19
    with pytest.raises(DomwardenError):
        bench.guard.start()
    assert "grants 19 s only (set the interval to 9.5 s or less)" in caplog.text
    assert not bench.card.armed


def test_a_watchdog_that_cannot_be_kicked_harms_no_other(tmp_path, caplog):
    bench = Bench(tmp_path, settings_of(watchdogs=("card", "other")), cards=("card", "other"))
    bench.guard.start()
    bench.card.lacks = {0x80045705: 5}
    assert bench.fires_within(61)
    assert bench.cards["other"].kicks[-1] >= 50
    assert caplog.text.count("KEEPALIVE") == 1


def test_a_drivers_bug_harms_no_other(tmp_path, caplog, monkeypatch):
    bench = Bench(tmp_path, settings_of(watchdogs=("card", "other")), cards=("card", "other"))
    bench.guard.start()

    def broken():
        raise ZeroDivisionError("kick")

    monkeypatch.setattr(bench.guard.watchdogs._armed["card"].driver, "kick", broken)
    assert bench.fires_within(61)
    assert bench.cards["other"].kicks[-1] >= 50
    assert caplog.text.count("its driver has a bug: ZeroDivisionError") == 1


def test_without_a_choice_every_driver_that_can_be_used_is(monkeypatch, tmp_path, caplog):
    """A third party's broken one is named, and the others do the work."""
    install(
        tmp_path,
        monkeypatch,
        "class Other(HostWatchdog):\n    arm = kick = hand_over = disarm = lambda *_: 60\n"
        "class Partial(HostWatchdog): pass",
        host_watchdog_other="Other",
        host_watchdog_partial="Partial",
    )
    names = [entry.driver for entry in chosen(default_guard())]
    assert {"linux", "other"} <= set(names)
    assert "partial" not in names
    assert "watchdog partial is not used: acme-cards 2.5" in caplog.text


def test_new_settings_take_effect_without_a_gap(tmp_path):
    bench = Bench(tmp_path, settings_of([entry()]), most=600)
    bench.guard.start()
    bench.run(35)
    bench.guard.reload(settings_of([entry("net")], timeout=200, interval=50.0))
    assert bench.guard.watchdogs.granted == {"card": 200}
    bench.run(500)
    assert bench.commands.begun[-1][1] == ["net"]


def test_a_watchdog_that_new_settings_leave_out_is_disarmed(tmp_path):
    bench = Bench(tmp_path, settings_of(watchdogs=("card", "other")), cards=("card", "other"))
    bench.guard.start()
    bench.guard.reload(settings_of())
    assert not bench.cards["other"].armed
    bench.run(300)


def test_settings_that_cannot_be_met_leave_the_old_ones_in_force(tmp_path):
    bench = Bench(tmp_path, settings_of(), most=100)
    bench.guard.start()
    with pytest.raises(DomwardenError, match="grants 60 s only"):
        bench.guard.reload(settings_of(timeout=200, interval=50.0))
    with pytest.raises(DomwardenError, match="there is none"):
        bench.guard.reload(settings_of(watchdogs=("card", "xen"), required=True))
    assert bench.guard.watchdogs.granted == {"card": 60}
    bench.run(300)


@settings(max_examples=60)
@given(
    retries=st.integers(0, 3),
    outcomes=st.lists(st.booleans(), min_size=1, max_size=25),
    seconds=st.sampled_from([0.0, 0.3, 4.0]),
)
def test_no_kick_while_a_check_stands_failed(retries, outcomes, seconds, tmp_path_factory):
    """For any history of a check: kicked exactly when fewer than all last looks were bad."""
    bench = Bench(
        tmp_path_factory.mktemp("bench"), settings_of([entry(retries=retries)], timeout=600)
    )
    bench.guard.start()
    bench.commands.seconds = seconds
    for index, ok in enumerate(outcomes, 1):
        bench.commands.results["disk"] = GOOD if ok else BAD
        bench.guard.step(bench.now)
        assert len(bench.commands.begun) == index
        bench.now += 4.5
        bench.guard.step(bench.now)  # its outcome is heard
        before = len(bench.card.kicks)
        bench.guard._next_kick = bench.now
        bench.guard.step(bench.now)
        last = outcomes[max(0, index - retries - 1) : index]
        failed = len(last) == retries + 1 and not any(last)
        assert (len(bench.card.kicks) == before) == failed
        bench.now += 5.5
