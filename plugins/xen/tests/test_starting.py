"""A start leaves nothing half made, and takes nothing that is not its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from domwarden.contract import EngineError, OutcomeUnknownError, RunState
from domwarden_xen import xl
from domwarden_xen.engine import XenEngine

from . import fake_world as fake
from .bench import GUARDED, NAME, UUID, definition, engine, host_of


@pytest.fixture
def one(tmp_path: Path) -> Iterator[XenEngine]:
    made = engine(tmp_path, "a")
    yield made
    (host_of(made) / "state.json").unlink()


async def start(one: XenEngine, *, held: bool = False) -> None:
    await one.start(await one.realize(definition(), GUARDED), GUARDED, held=held)


def put(one: XenEngine, name: str, uuid: str = UUID) -> None:
    """Put a domain on the host that nobody here started."""
    with fake.world(host_of(one)) as state:
        state["domains"]["9"] = {**fake.DOM0, "name": name, "uuid": uuid, "pauses": 1}


def names(one: XenEngine) -> list[str]:
    with fake.world(host_of(one)) as state:
        return [domain["name"] for domain in state["domains"].values()][1:]


async def test_a_stranger_with_the_name_stays(one: XenEngine) -> None:
    """It is another domain, whatever it is called."""
    put(one, NAME, "99999999-2222-3333-4444-555555555555")
    with pytest.raises(EngineError, match="another domain has this name"):
        await start(one)
    assert names(one) == [NAME]
    seen = await one.observe(NAME)
    assert (seen.state, await one.domains()) == (RunState.UNKNOWN, [])
    assert "not started here" in seen.detail


@pytest.mark.parametrize("name", ["(null)", f"{NAME}--incoming", f"{NAME}--migratedaway"])
async def test_what_was_left_of_a_copy_is_in_the_way_until_it_is_stopped(
    one: XenEngine, name: str
) -> None:
    """Nothing is started beside a copy that may still count."""
    await start(one)
    with fake.world(host_of(one)) as state:
        state["domains"]["1"]["name"] = name
    with pytest.raises(EngineError, match="already here"):
        await start(one)
    assert (await one.observe(NAME)).state is not RunState.RUNNING
    await one.stop(NAME)
    assert names(one) == []
    await start(one)
    assert (await one.observe(NAME)).state is RunState.RUNNING


async def test_a_refused_start_leaves_nothing(one: XenEngine) -> None:
    """Neither a half-made domain nor a record."""
    with fake.world(host_of(one)) as state:
        state["lies"] = {"unpause": "no"}
    with pytest.raises(EngineError, match="unpause refused"):
        await start(one)
    assert names(one) == []
    assert (await one.observe(NAME)).state is RunState.ABSENT
    assert await one.domains() == []


async def test_a_silent_start_is_known_to_whoever_looks(
    one: XenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record was there before the domain."""
    monkeypatch.setattr(xl, "CHANGE_SECONDS", 0.3)
    with fake.world(host_of(one)) as state:
        state["lies"] = {"create": "hang"}
    with pytest.raises(OutcomeUnknownError):
        await start(one)
    assert await one.domains() == [NAME]
    assert (await one.observe(NAME)).state is RunState.ENDED
    await one.stop(NAME)
    assert await one.domains() == []


async def test_two_at_once_make_one_domain(one: XenEngine) -> None:
    """The second waits for the first, and is refused."""
    answers = await asyncio.gather(start(one), start(one), return_exceptions=True)
    assert sum(isinstance(answer, EngineError) for answer in answers) == 1
    assert names(one) == [NAME]


async def test_a_domain_is_found_again(one: XenEngine) -> None:
    """By another object, whatever its domid is."""
    await start(one)
    await one.reset(NAME)
    again = XenEngine(one.host)
    assert await again.domains() == [NAME]
    seen = await again.observe(NAME)
    assert (seen.state, seen.detail) == (RunState.RUNNING, "domain 2 -b----")
    await again.stop(NAME)
    assert (await one.observe(NAME)).state is RunState.ABSENT
