"""A domain whose restart fails half-way is not lost: whoever follows it makes it again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from domwarden.contract import EngineError, EventKind, RunState
from domwarden_xen import monitor, remaking, waking
from domwarden_xen.engine import XenEngine
from domwarden_xen.files import Files

from . import fake_world as fake
from .bench import GUARDED, NAME, definition, engine, host_of


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waking, "GLANCE_SECONDS", 0.02)
    monkeypatch.setattr(waking, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(remaking, "PAUSES_SECONDS", (0.0, 0.02, 0.02))


@pytest.fixture
def one(tmp_path: Path) -> XenEngine:
    return engine(tmp_path, "a")


@contextlib.asynccontextmanager
async def started(one: XenEngine) -> AsyncIterator[None]:
    """Start a guarded domain; its monitor ends with the fake host."""
    try:
        await one.start(await one.realize(definition(), GUARDED), GUARDED)
        yield
    finally:
        (host_of(one) / "state.json").unlink()


def lie(one: XenEngine, **lies: str) -> None:
    with fake.world(host_of(one)) as state:
        state["lies"] = lies


def expire(one: XenEngine) -> None:
    fake.change(host_of(one), NAME, timeout=10, hung=True)
    fake.forward(host_of(one), 11.0)


def creations(one: XenEngine) -> int:
    with fake.world(host_of(one)) as state:
        return sum(call[0] == "create" for call in state["calls"])


async def heard(one: XenEngine, *last: EventKind) -> list[EventKind]:
    """Follow until one of these."""
    kinds: list[EventKind] = []
    async with asyncio.timeout(20), contextlib.aclosing(one.events(NAME)) as coming:
        async for event in coming:
            kinds.append(event.kind)
            if event.kind in last:
                break
    return kinds


async def given_up(one: XenEngine) -> None:
    """Wait until xl's monitor has ended."""
    async with asyncio.timeout(10):
        while monitor.alive(Files(one.host, NAME)):  # noqa: ASYNC110 - another process ends
            await asyncio.sleep(0.02)


async def test_what_xl_failed_to_make_again_is_made(one: XenEngine) -> None:
    """xl's monitor took the hung guest apart, and gave up for good."""
    async with started(one):
        lie(one, restart="no")
        expire(one)
        assert await heard(one, EventKind.RESET) == [EventKind.WATCHDOG, EventKind.RESET]
        assert (await one.observe(NAME)).state is RunState.RUNNING
        assert not fake.guest_of(host_of(one), NAME)["hung"]


async def test_a_follower_that_comes_later_makes_it_too(one: XenEngine) -> None:
    """Until then it is neither running nor ended."""
    async with started(one):
        lie(one, restart="no")
        expire(one)
        await given_up(one)
        seen = await one.observe(NAME)
        assert seen.state is RunState.UNKNOWN
        assert "to be made again" in seen.detail
        assert EventKind.RESET in await heard(one, EventKind.RESET)
        assert (await one.observe(NAME)).state is RunState.RUNNING


async def test_a_failure_is_not_the_last_word(one: XenEngine) -> None:
    """What fails once is tried again."""
    async with started(one):
        lie(one, restart="no", create="no")
        expire(one)
        follower = asyncio.create_task(heard(one, EventKind.RESET, EventKind.GONE))
        async with asyncio.timeout(20):
            while creations(one) < 2:  # noqa: ASYNC110 - another process counts
                await asyncio.sleep(0.005)
        lie(one)
        assert (await follower)[-1] is EventKind.RESET
        assert (await one.observe(NAME)).state is RunState.RUNNING


async def test_after_the_last_try_it_has_ended(one: XenEngine) -> None:
    """Nobody tries for ever, and whoever asks hears that it is not there."""
    async with started(one):
        lie(one, restart="no", create="no")
        expire(one)
        assert await heard(one, EventKind.GONE) == [EventKind.WATCHDOG, EventKind.GONE]
        assert creations(one) == 1 + len(remaking.PAUSES_SECONDS)
        assert (await one.observe(NAME)).state is RunState.ENDED
        lie(one)
        await one.start(await one.realize(definition(), GUARDED), GUARDED)
        assert (await one.observe(NAME)).state is RunState.RUNNING


async def test_a_reset_that_fails_half_way_is_made_up_for(one: XenEngine) -> None:
    """The operator hears of the failure, and the guest comes back all the same."""
    async with started(one):
        lie(one, create="no")
        with pytest.raises(EngineError, match="create refused"):
            await one.reset(NAME)
        assert (await one.observe(NAME)).state is RunState.UNKNOWN
        lie(one)
        assert await heard(one, EventKind.RESET) == [EventKind.RESET]
        assert (await one.observe(NAME)).state is RunState.RUNNING


async def test_what_an_operator_ended_stays_ended(one: XenEngine) -> None:
    """After a restart that went well, xl destroy by hand is no failure."""
    async with started(one):
        expire(one)
        await heard(one, EventKind.RESET)
        follower = asyncio.create_task(heard(one, EventKind.GONE))
        async with asyncio.timeout(20):
            while (await one.observe(NAME)).state is not RunState.RUNNING:  # noqa: ASYNC110 - its maker is another process
                await asyncio.sleep(0.02)
        with fake.world(host_of(one)) as state:
            found = fake.find(state, NAME)
            assert found is not None
            del state["domains"][found[0]]
        assert (await follower)[-1] is EventKind.GONE
        assert (await one.observe(NAME)).state is RunState.ENDED
        assert creations(one) == 1


async def test_a_stop_ends_what_is_owed(one: XenEngine) -> None:
    """Whoever stops a domain that is to be made again has stopped it."""
    async with started(one):
        lie(one, restart="no")
        expire(one)
        await given_up(one)
        await one.stop(NAME)
        assert (await one.observe(NAME)).state is RunState.ABSENT
        assert await heard(one, EventKind.GONE) == [EventKind.GONE]
        assert creations(one) == 1


async def test_a_domain_that_xl_would_not_take_apart_is_not_owed(one: XenEngine) -> None:
    """It runs on; when its guest powers it off one day, that is its end."""
    async with started(one):
        lie(one, destroy="no")
        with pytest.raises(EngineError, match="destroy refused"):
            await one.reset(NAME)
        lie(one)
        assert (await one.observe(NAME)).state is RunState.RUNNING
        with fake.world(host_of(one)) as state:
            found = fake.find(state, NAME)
            assert found is not None
            found[1]["code"] = fake.POWEROFF
        assert await heard(one, EventKind.GONE) == [EventKind.SHUTDOWN, EventKind.GONE]
        assert (await one.observe(NAME)).state is RunState.ENDED
        assert creations(one) == 1
