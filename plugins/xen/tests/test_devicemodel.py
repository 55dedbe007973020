"""An emulated card that fired is heard of over QMP, told, and acted on through Xen."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from domwarden.contract import Action, Event, EventKind, Reading, RunState, WatchdogEntry
from domwarden_xen import devicemodel, waking
from domwarden_xen.engine import XenEngine

from .bench import NAME, UUID, FixedRoom, definition, engine, host_of

FIRED = {"event": "WATCHDOG", "data": {"action": "none"}, "timestamp": {"seconds": 1}}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(waking, "GLANCE_SECONDS", 0.02)
    monkeypatch.setattr(waking, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(devicemodel, "RECONNECT_SECONDS", 0.02)
    # A worker's directory has a name too long for a socket's address.
    with tempfile.TemporaryDirectory(prefix="dm-", dir="/tmp") as short:
        monkeypatch.setattr(devicemodel, "DIRECTORY", Path(short))
        yield


@contextlib.asynccontextmanager
async def device_model(uuid: str = UUID) -> AsyncIterator[asyncio.StreamWriter]:
    """Be QEMU's monitor; enter once somebody listens to it."""
    heard: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'{"QMP": {"version": {}}}\r\n')
        assert json.loads(await reader.readline()) == {"execute": "qmp_capabilities"}
        writer.write(b'{"return": {}}\r\n')
        if not heard.done():
            heard.set_result(writer)

    server = await asyncio.start_unix_server(serve, devicemodel.monitor(uuid))
    try:
        async with asyncio.timeout(20):
            writer = await heard
        yield writer
    finally:
        server.close()
        writer.close()


@contextlib.asynccontextmanager
async def started(directory: Path, action: Action) -> AsyncIterator[XenEngine]:
    """Enter a running hvm domain with a card."""
    one = engine(directory, "a")
    room = FixedRoom({"watchdog": {"device_model_args_hvm": ["-device", "i6300esb"]}})
    wanted = definition(watchdog=WatchdogEntry("i6300esb", action=action), options={"type": "hvm"})
    try:
        await one.start(await one.realize(wanted, room), room)
        yield one
    finally:
        (host_of(one) / "state.json").unlink()


async def told(one: XenEngine, last: EventKind) -> list[Event]:
    """Fire the card, and follow until an event of that kind."""
    events: list[Event] = []

    async def follow() -> None:
        async with contextlib.aclosing(one.events(NAME)) as coming:
            async for event in coming:
                events.append(event)
                if event.kind is last:
                    return

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        following = group.create_task(follow())
        async with device_model() as writer:
            writer.write(json.dumps({"event": "RTC_CHANGE"}).encode() + b"\r\n")
            writer.write(json.dumps(FIRED).encode() + b"\r\n")
            await following
    return events


async def test_a_card_that_fired_resets_its_domain(tmp_path: Path) -> None:
    """QEMU cannot reset processors that are Xen's: the domain is made again."""
    async with started(tmp_path, Action.RESET) as one:
        events = await told(one, EventKind.RESET)
        assert [event.kind for event in events] == [EventKind.WATCHDOG, EventKind.RESET]
        assert events[0].data["detail"] == "the watchdog card of domain 1 expired"
        assert (await one.observe(NAME)).detail.startswith("domain 2 ")


@pytest.mark.parametrize(
    ("action", "state"),
    [(Action.PAUSE, RunState.PAUSED), (Action.POWEROFF, RunState.ENDED)],
)
async def test_a_card_that_fired_stops_its_domain(
    tmp_path: Path, action: Action, state: RunState
) -> None:
    """As its action says, through Xen."""
    last = EventKind.PAUSED if action is Action.PAUSE else EventKind.GONE
    async with started(tmp_path, action) as one:
        events = await told(one, last)
        assert events[0].kind is EventKind.WATCHDOG
        assert (await one.observe(NAME)).state is state


async def test_a_card_that_only_notifies_is_told(tmp_path: Path) -> None:
    """Whoever follows the domain records it; the domain goes on."""
    async with started(tmp_path, Action.NOTIFY) as one:
        (event,) = await told(one, EventKind.WATCHDOG)
        assert event.data["action"] == "notify"
        assert (await one.observe(NAME)).detail.startswith("domain 1 ")


async def test_nothing_is_said_of_a_cards_timer(tmp_path: Path) -> None:
    """Xen's own timers, of which the guest has armed none, are not what guards it."""
    async with started(tmp_path, Action.RESET) as one:
        assert await one.read_watchdog(NAME) == Reading()


async def test_a_device_model_that_comes_again_is_heard_again(tmp_path: Path) -> None:
    """Each reset ends one and starts another."""
    fired = asyncio.Event()
    async with devicemodel.listening(devicemodel.monitor(UUID), fired.set):
        async with device_model() as writer:
            writer.write(b"no JSON\r\n")
        async with device_model() as writer:
            writer.write(json.dumps(FIRED).encode() + b"\r\n")
            await asyncio.wait_for(fired.wait(), 20)
