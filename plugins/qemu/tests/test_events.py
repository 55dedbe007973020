"""Events are in the contract's words, and what we caused by looking is not among them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from domwarden.contract import Action, Event, EventKind
from domwarden_qemu.events import KINDS, Resets, follow, translate
from domwarden_qemu.files import Files
from domwarden_qemu.monitor import Monitor
from domwarden_qemu.process import boot_id, start_time
from domwarden_qemu.record import Record
from domwarden_qemu.sampling import Samples

from .fake_qmp import FakeQmp, message
from .rooms import host


@pytest.mark.parametrize("name", KINDS)
def test_each_event_has_a_kind_and_qemus_time(name: str) -> None:
    event = translate(message(name))
    assert event.kind is KINDS[name]
    assert event.at == pytest.approx(1_700_000_000.000005)


@pytest.mark.parametrize(
    ("word", "configured", "expected"),
    [
        ("reset", Action.RESET, "reset"),
        ("pause", Action.DUMP, "dump"),
        ("pause", Action.PAUSE, "pause"),
        ("pause", "", "pause"),
        ("inject-nmi", Action.NMI, "nmi"),
        ("none", Action.NOTIFY, "notify"),
        ("pause", Action.RESET, "pause"),  # somebody changed it by watchdog-set-action
        ("debug", Action.RESET, "reset"),
    ],
)
def test_the_watchdogs_action_is_in_the_contracts_words(
    word: str, configured: str, expected: str
) -> None:
    assert translate(message("WATCHDOG", action=word), configured).data["action"] == expected


def test_a_look_at_the_watchdog_hides_only_its_own_pause() -> None:
    samples = Samples()
    pause = translate(message("STOP", seconds=4_000_000_000))
    assert not samples.made(pause)
    with samples.taking():
        assert samples.made(pause)  # while the look lasts, whatever comes later is ours
        assert not samples.made(translate(message("RESET", seconds=4_000_000_000)))
    assert not samples.made(pause)


def test_the_firmwares_own_reset_is_not_reported_twice() -> None:
    resets = Resets()
    first = Event(EventKind.RESET, 100.0, {"guest": False})
    assert not resets.echo(first)
    assert resets.echo(Event(EventKind.RESET, 100.1, {"guest": True}))
    assert not resets.echo(Event(EventKind.WATCHDOG, 100.2, {}))
    assert not resets.echo(Event(EventKind.RESET, 101.0, {"guest": False}))  # an operator's
    assert not resets.echo(Event(EventKind.RESET, 104.0, {"guest": True}))


async def test_an_absent_domain_is_gone(tmp_path: Path) -> None:
    files = Files(host(tmp_path), "web1")
    heard = [e async for e in follow(files, Monitor(files.events, "web1"), lambda _: False)]
    assert [event.kind for event in heard] == [EventKind.GONE]


async def test_a_lost_connection_is_made_again_while_the_process_lives(tmp_path: Path) -> None:
    files = Files(host(tmp_path), "web1")
    files.create()
    record = Record(boot_id(), pid=os.getpid(), start_time=start_time(os.getpid()) or 0)
    record.save(files.record)
    async with FakeQmp().serve(files.events) as qemu:
        events = follow(files, Monitor(files.events, "web1"), lambda _: False)
        first = asyncio.create_task(_emit_after_negotiation(qemu, "STOP"))
        assert (await anext(events)).kind is EventKind.PAUSED
        await first
        qemu.hang_up()
        second = asyncio.create_task(_emit_after_negotiation(qemu, "RESUME"))
        assert (await anext(events)).kind is EventKind.RESUMED
        await second
        await events.aclose()
        assert qemu.connections == 2


async def _emit_after_negotiation(qemu: FakeQmp, name: str) -> None:
    seen = len(qemu.heard)
    await qemu.until(lambda: len(qemu.heard) > seen)
    await asyncio.sleep(0.05)  # the client registers its listener right after the negotiation
    qemu.emit(name)
