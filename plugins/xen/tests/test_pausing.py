"""A domain runs when it is seen running, not when xl says that it was told to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from domwarden.contract import EngineError, RunState
from domwarden_xen import libxl, pausing
from domwarden_xen.engine import XenEngine
from domwarden_xen.files import Files
from domwarden_xen.record import Record

from . import fake_world as fake
from .bench import GUARDED, NAME, definition, engine, host_of


@pytest.fixture
def one(tmp_path: Path) -> Iterator[XenEngine]:
    made = engine(tmp_path, "a")
    yield made
    (host_of(made) / "state.json").unlink()


async def start(one: XenEngine) -> None:
    await one.start(await one.realize(definition(), GUARDED), GUARDED)


async def state_of(one: XenEngine) -> RunState:
    return (await one.observe(NAME)).state


def pauses(one: XenEngine, count: int | None = None) -> int:
    with fake.world(host_of(one)) as state:
        domain = state["domains"]["1"]
        domain["pauses"] = domain["pauses"] if count is None else count
        return int(domain["pauses"])


async def test_pause_is_counted_by_xen_and_not_by_us(one: XenEngine) -> None:
    """Twice is once, and what others paused on top is undone, too."""
    await start(one)
    await one.pause(NAME)
    await one.pause(NAME)
    assert pauses(one) == 1
    pauses(one, 3)
    await one.resume(NAME)
    assert pauses(one) == 0
    assert await state_of(one) is RunState.RUNNING


async def test_a_guest_that_suspended_itself_is_told_that_it_was_cancelled(
    one: XenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """xl's unpause would exit 0 and leave it as it is."""
    await start(one)
    told = []

    async def resume(domid: int, *, cooperative: bool = True) -> None:
        told.append((domid, cooperative))
        with fake.world(host_of(one)) as state:
            state["domains"][str(domid)]["code"] = None

    monkeypatch.setattr(libxl, "resume", resume)
    fake.shut_down(host_of(one), NAME, fake.SUSPEND)
    assert await state_of(one) is RunState.SUSPENDED
    await one.resume(NAME)
    assert told == [(1, True)]
    assert await state_of(one) is RunState.RUNNING


async def test_a_domain_that_does_not_run_is_told(
    one: XenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever libxl returned."""
    await start(one)

    async def resume(domid: int, *, cooperative: bool = True) -> None:
        """Do nothing, and say that it was done."""

    monkeypatch.setattr(libxl, "resume", resume)
    monkeypatch.setattr(pausing, "SEEN_SECONDS", 0.0)
    fake.shut_down(host_of(one), NAME, fake.SUSPEND)
    with pytest.raises(EngineError, match="does not run although"):
        await one.resume(NAME)


@pytest.mark.parametrize("change", [{"activated": False}, {"leaving": "m1"}, {"departed": True}])
async def test_a_copy_that_does_not_own_the_domain_is_not_let_run(
    one: XenEngine, change: dict[str, object]
) -> None:
    """Neither by resume nor by a reset."""
    await start(one)
    await one.pause(NAME)
    path = Files(one.host, NAME).record
    record = Record.load(path)
    assert record is not None
    dataclasses.replace(record, **change).save(path)
    for act in (one.resume, one.reset):
        with pytest.raises(EngineError):
            await act(NAME)
    assert pauses(one) == 1
