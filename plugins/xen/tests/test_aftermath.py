"""Where xl's monitor is gone, the engine does what it would have done; else it keeps off."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from domwarden.contract import Action, Event, EventKind, RunState, WatchdogEntry
from domwarden_xen import libxl, monitor, waking
from domwarden_xen.engine import XenEngine
from domwarden_xen.files import Files

from . import fake_world as fake
from .bench import NAME, FixedRoom, definition, engine, host_of

RESUMED: list[tuple[int, bool]] = []


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waking, "GLANCE_SECONDS", 0.02)
    monkeypatch.setattr(waking, "LOOK_SECONDS", 0.1)


@contextlib.asynccontextmanager
async def started(
    directory: Path, action: Action, on_watchdog: str, *, monitored: bool
) -> AsyncIterator[XenEngine]:
    """Enter a running guarded domain, with or without the monitor that xl left."""
    one = engine(directory, "a")
    room = FixedRoom({"watchdog": {"on_watchdog": on_watchdog}})
    wanted = definition(watchdog=WatchdogEntry("xen_wdt", action=action))
    try:
        await one.start(await one.realize(wanted, room), room)
        if not monitored:
            for pid in monitor.pids(Files(one.host, NAME)):
                os.kill(pid, signal.SIGKILL)
            assert await gone(one)
        yield one
    finally:
        (host_of(one) / "state.json").unlink()


async def gone(one: XenEngine) -> bool:
    for _ in range(100):
        if not monitor.alive(Files(one.host, NAME)):
            return True
        await asyncio.sleep(0.02)
    return False


async def heard(one: XenEngine, last: EventKind) -> list[Event]:
    """Hang the guest, let its watchdog expire, and follow until an event of that kind."""
    fake.change(host_of(one), NAME, timeout=10, hung=True)
    fake.forward(host_of(one), 11.0)
    events: list[Event] = []
    async with asyncio.timeout(20), contextlib.aclosing(one.events(NAME)) as coming:
        async for event in coming:
            events.append(event)
            if event.kind is last:
                break
    return events


def guest(one: XenEngine) -> dict[str, Any]:
    return fake.guest_of(host_of(one), NAME)


@pytest.mark.parametrize("monitored", [True, False])
async def test_a_hung_guest_is_made_again(tmp_path: Path, monitored: bool) -> None:
    """Once: by xl's monitor, or by whoever follows the domain when that is gone."""
    async with started(tmp_path, Action.RESET, "restart", monitored=monitored) as one:
        events = await heard(one, EventKind.RESET)
        assert [event.kind for event in events] == [EventKind.WATCHDOG, EventKind.RESET]
        assert events[0].data["action"] == "reset"
        assert not guest(one)["hung"]
        with fake.world(host_of(one)) as state:
            assert list(state["domains"]) == ["0", "2"]
        assert (await one.observe(NAME)).state is RunState.RUNNING
        assert monitor.alive(Files(one.host, NAME))


@pytest.mark.parametrize("monitored", [True, False])
async def test_a_hung_guest_is_powered_off(tmp_path: Path, monitored: bool) -> None:
    """The event is told although the domain is gone at once."""
    async with started(tmp_path, Action.POWEROFF, "destroy", monitored=monitored) as one:
        events = await heard(one, EventKind.GONE)
        assert [event.kind for event in events] == [EventKind.WATCHDOG, EventKind.GONE]
        assert (await one.observe(NAME)).state is RunState.ENDED
        assert await one.domains() == [NAME]
        await one.stop(NAME)
        assert (await one.observe(NAME)).state is RunState.ABSENT


async def test_a_dump_is_written_where_the_monitor_is_gone(tmp_path: Path) -> None:
    """As coredump-restart would, into the host's own place."""
    async with started(tmp_path, Action.DUMP, "coredump-restart", monitored=False) as one:
        await heard(one, EventKind.RESET)
        (core,) = (one.host.state_directory / "dumps").iterdir()
        assert core.name.startswith(f"{NAME}-")
        assert not guest(one)["hung"]


async def test_a_refused_dump_does_not_keep_the_guest_down(tmp_path: Path) -> None:
    """It is made again all the same."""
    async with started(tmp_path, Action.DUMP, "coredump-restart", monitored=False) as one:
        with fake.world(host_of(one)) as state:
            state["lies"] = {"dump-core": "no"}
        await heard(one, EventKind.RESET)
        assert not guest(one)["hung"]


async def test_an_expiry_that_halts_waits_for_the_supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """xl preserves the domain; act() wakes it through libxl, and an NMI is in it by then."""

    async def resume(domid: int, *, cooperative: bool = True) -> None:
        RESUMED.append((domid, cooperative))
        with fake.world(host_of(one)) as state:
            state["domains"][str(domid)]["code"] = None

    monkeypatch.setattr(libxl, "resume", resume)
    async with started(tmp_path, Action.NMI, "preserve", monitored=True) as one:
        events = await heard(one, EventKind.PAUSED)
        assert [event.kind for event in events] == [EventKind.WATCHDOG, EventKind.PAUSED]
        assert (await one.observe(NAME)).state is RunState.PAUSED
        fake.change(host_of(one), NAME, timeout=None)
        await one.act(NAME, Action.NMI)
        assert RESUMED == [(1, False)]
        assert guest(one)["nmis"] == 1
        assert (await one.observe(NAME)).state is RunState.RUNNING


async def test_what_ended_while_nobody_followed_is_told_once(tmp_path: Path) -> None:
    """The next follower reads it in xl's log; the one after that knows it was told."""
    async with started(tmp_path, Action.RESET, "restart", monitored=True) as one:
        first = await heard(one, EventKind.RESET)
        assert first[0].kind is EventKind.WATCHDOG
        await one.pause(NAME)
        coming = one.events(NAME)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await anext(coming)
