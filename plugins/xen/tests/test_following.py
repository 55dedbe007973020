"""A deed, its trace in a log and its look are one event."""

from __future__ import annotations

from domwarden.contract import Event, EventKind
from domwarden_xen.following import Follower
from domwarden_xen.monitor import End
from domwarden_xen.record import Record
from domwarden_xen.xl import CRASH, POWEROFF, REBOOT, SUSPEND, WATCHDOG, Row

UUID = "11111111-2222-3333-4444-555555555555"


def follower(action: str = "reset", reported: int = -1) -> Follower:
    return Follower(Record("boot", UUID, watchdog_action=action), reported)


def row(flags: str, domid: int = 7, reason: int | None = None) -> Row:
    return Row("web1", domid, flags, UUID, reason=reason)


def deed(kind: EventKind, domid: int = 7) -> Event:
    return Event(kind, 1.0, {"domid": domid})


def kinds(events: list[Event]) -> list[str]:
    return [str(event.kind) for event in events]


def test_the_first_look_tells_nothing() -> None:
    """What was so before anybody followed is no event."""
    assert kinds(follower().look(row("--p---"))) == []
    assert kinds(follower().look(row("-b----"))) == []


def test_a_strangers_pause_is_seen_and_our_own_told_once() -> None:
    """Xen announces no pause; xl pause by hand is found out by the next look."""
    one = follower()
    one.look(row("-b----"))
    assert kinds(one.look(row("--p---"))) == ["paused"]
    assert kinds(one.look(row("-b----"))) == ["resumed"]
    assert kinds(one.deeds([deed(EventKind.PAUSED)])) == ["paused"]
    assert kinds(one.look(row("--p---"))) == []
    assert kinds(one.deeds([deed(EventKind.RESUMED)])) == ["resumed"]
    assert kinds(one.look(row("-b----"))) == []


def test_an_expiry_is_told_once_whoever_saw_it() -> None:
    """By xl's log, by the look, and by the next follower."""
    one = follower()
    one.look(row("-b----"))
    (event,) = one.end(End(7, WATCHDOG))
    assert event.kind is EventKind.WATCHDOG
    assert event.data["action"] == "reset"
    assert kinds(one.look(row("---sw-", reason=4))) == []
    assert kinds(one.look(row("--p---", domid=8))) == ["reset"]
    assert kinds(one.look(row("-b----", domid=8))) == []  # it was made paused
    assert kinds(follower(reported=one.reported).end(End(7, WATCHDOG))) == []
    assert kinds(follower(reported=one.reported).end(End(8, WATCHDOG))) == ["watchdog"]


def test_an_expiry_that_halts_is_a_pause_too() -> None:
    """The supervisor then wakes it."""
    one = follower("notify")
    one.look(row("-b----"))
    assert kinds(one.look(row("---sw-", reason=4))) == ["watchdog", "paused"]
    assert kinds(one.deeds([deed(EventKind.RESUMED)])) == ["resumed"]


def test_each_code_has_its_word_and_a_suspend_none() -> None:
    """A suspend is a move's, or the guest's own."""
    words = {POWEROFF: "shutdown", CRASH: "panicked", REBOOT: "reset"}
    for code, word in words.items():
        assert kinds(follower().end(End(7, code))) == [word]
    assert kinds(follower().end(End(7, SUSPEND))) == []


def test_a_domain_that_was_made_again_before_anybody_looked_was_reset() -> None:
    """The end is in xl's log, and a higher domid is there."""
    one = follower()
    assert kinds(one.end(End(7, WATCHDOG))) == ["watchdog"]
    assert kinds(one.look(row("-b----", domid=8))) == ["reset"]
    assert kinds(one.look(row("-b----", domid=8))) == []


def test_a_reboot_is_one_reset() -> None:
    """The guest asks for it, xl makes the domain again: that is not two."""
    one = follower()
    one.look(row("-b----"))
    assert kinds(one.look(row("---sr-", reason=1))) == ["reset"]
    assert kinds(one.look(row("-b----", domid=8))) == []
    assert kinds(one.deeds([deed(EventKind.RESET, 9)])) == ["reset"]


def test_our_own_reset_is_told_by_its_deed() -> None:
    """The new domid is known by then."""
    one = follower()
    one.look(row("-b----"))
    assert kinds(one.deeds([deed(EventKind.RESET, 8)])) == ["reset"]
    assert kinds(one.look(row("-b----", domid=8))) == []
