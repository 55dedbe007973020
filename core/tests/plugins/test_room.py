"""A room reaches each device of its domain, and one device's bug is nobody else's."""

import dataclasses
from pathlib import Path

import pytest

from domwarden.contract import (
    Definition,
    DeviceEntry,
    Domain,
    DriverError,
    End,
    Host,
    Job,
    Refusal,
    Step,
    TimerClock,
    WatchdogEntry,
)
from domwarden.plugins import Kind, load, open_room

from .throwaway import DEVICE, ENGINE, install

DRIVERS = (
    ENGINE
    + """
class BoardHooks:
    @hookspec
    def board_args(self, domain, slot):
        '''Say what the device means to the board.'''

class Board(_Whole):
    HOOKS = BoardHooks
    control = lambda self, name, protocol: (name, protocol)
"""
    + DEVICE
    + """
    @hookimpl
    def migrate(self, domain, step):
        if step is Step.TEST:
            return Refusal(domain.device, str(domain.ticket), str(domain.given))
        return None

    @hookimpl
    def describe(self, domain):
        return {"seen": domain}

    @hookimpl(optionalhook=True)
    def board_args(self, slot, domain):
        return [self.id, slot, domain.end.value]

class Guard(Card):
    CLOCK = TimerClock.GUEST

class Silent:
    contract = 1
    SCHEMA = {}
    def __init__(self, id, options): pass

class Rude(Silent):
    @hookimpl
    def migrate(self, step):
        raise KeyError("no such\\nthing")
    @hookimpl(optionalhook=True)
    def board_args(self):
        raise ValueError("no board")

class Confused(Silent):
    @hookimpl
    def migrate(self):
        return ["a list"]
    @hookimpl
    def open(self):
        async def later(): pass
        return later()

class Picky(Silent):
    def __init__(self, id, options):
        raise ValueError("I dislike " + id)

class Stale(Silent):
    @hookimpl(optionalhook=True)
    def board_args(self, port): pass
"""
)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    install(
        tmp_path, monkeypatch, DRIVERS,
        engine_board="Board", watchdog_guard="Guard", device_card="Card", device_silent="Silent",
        device_rude="Rude", device_confused="Confused", device_picky="Picky", device_stale="Stale",
    )  # fmt: skip
    return load(Kind.ENGINE, "board").cls(HOST)


HOST = Host("a", Path("/nowhere"))


def definition(*devices: tuple[str, str], watchdog: bool = False) -> Definition:
    entries = tuple(DeviceEntry(device, driver, {"n": 1}) for device, driver in devices)
    guard = WatchdogEntry("guard", options={"g": 2}) if watchdog else None
    return Definition("web1", "u", "board", 1, devices=entries, watchdog=guard)


def room_of(engine, *devices: tuple[str, str], watchdog: bool = False):
    return open_room(definition(*devices, watchdog=watchdog), HOST, engine)


def test_each_device_answers_under_its_id_in_file_order_and_the_watchdog_last(engine):
    room = room_of(engine, ("z", "card"), ("s", "silent"), ("a", "card"), watchdog=True)
    answers = room.migrate(room.domain, Step.TEST)
    assert list(answers) == ["z", "a", "watchdog"]
    assert room.devices["watchdog"].options == {"g": 2}
    assert room.drivers["watchdog"].cls.CLOCK is TimerClock.GUEST


def test_each_device_gets_its_own_view_of_the_domain(engine):
    room = room_of(engine, ("a", "card"), ("b", "card"))
    answers = room.migrate(room.domain, Step.TEST, tickets={"a": {"t": 1}}, given={"b": {"g": 2}})
    assert answers["a"] == Refusal("a", "{'t': 1}", "None")
    assert answers["b"] == Refusal("b", "None", "{'g': 2}")
    assert room.domain.device == ""


def test_the_view_is_a_whole_domain(engine):
    room = room_of(engine, ("a", "card"))
    base = dataclasses.replace(room.domain, end=End.DESTINATION, running=True, peer="b")
    [seen] = room.describe(base)["a"].values()
    assert seen == dataclasses.replace(base, device="a")
    assert type(seen) is Domain


def test_only_the_named_devices_are_asked(engine):
    room = room_of(engine, ("a", "card"), ("b", "card"))
    assert list(room.migrate(room.domain, Step.TEST, devices={"b"})) == ["b"]


def test_rooms_of_two_domains_do_not_hear_each_other(engine):
    one, two = room_of(engine, ("a", "card")), room_of(engine, ("b", "card"))
    assert list(one.migrate(one.domain, Step.TEST)) == ["a"]
    assert list(two.migrate(two.domain, Step.TEST)) == ["b"]


def test_a_hook_that_raises_is_a_named_bug_and_the_others_answer(engine):
    room = room_of(engine, ("a", "card"), ("r", "rude"), ("z", "card"))
    answers = room.migrate(room.domain, Step.TEST)
    assert list(answers) == ["a", "r", "z"]
    bug = answers["r"]
    assert isinstance(bug, DriverError)
    assert str(bug) == (
        "acme-cards 2.5: device driver 'rude', device 'r': hook migrate raised"
        " KeyError: 'no such\\nthing'"
    )
    assert isinstance(bug.__cause__, KeyError)
    assert (bug.distribution, bug.version) == ("acme-cards", "2.5")


def test_a_hook_that_answers_nonsense_is_a_named_bug(engine):
    room = room_of(engine, ("c", "confused"))
    assert "hook migrate returned list, not Job or Refusal or None" in str(
        room.migrate(room.domain, Step.TEST)["c"]
    )
    assert "return a Job instead" in str(room.open(room.domain)["c"])


def test_an_engine_asks_its_own_hook_with_the_rooms_view(engine):
    room = room_of(engine, ("a", "card"), ("s", "silent"), watchdog=True)
    assert room.ask("board_args", slot=3) == {
        "a": ["a", 3, "source"], "watchdog": ["watchdog", 3, "source"],
    }  # fmt: skip
    there = dataclasses.replace(room.domain, end=End.DESTINATION)
    assert room.seen_as(there).ask("board_args", slot=3)["a"] == ["a", 3, "destination"]
    assert room.ask("board_args", slot=3, domain=there)["a"] == ["a", 3, "destination"]
    assert room.ask("no_such_hook") == {}


def test_an_engine_is_told_when_any_device_fails_its_hook(engine):
    room = room_of(engine, ("a", "card"), ("r", "rude"))
    with pytest.raises(
        DriverError, match="device 'r': hook board_args raised ValueError: no board"
    ):
        room.ask("board_args", slot=1)


def test_a_device_that_refuses_to_be_made_is_one_line(engine):
    with pytest.raises(DriverError, match="device 'p': cannot be made: ValueError: I dislike p"):
        room_of(engine, ("a", "card"), ("p", "picky"))


def test_wrong_arguments_for_a_third_partys_hook_are_one_line(engine):
    with pytest.raises(DriverError, match=r"acme-cards 2.5.*'stale'.*port") as caught:
        room_of(engine, ("s", "stale"))
    assert "\n" not in str(caught.value)


def test_the_view_holds_the_engines_controls(engine):
    room = room_of(engine, ("a", "card"))
    assert room.domain.control(Job) == ("web1", Job)
