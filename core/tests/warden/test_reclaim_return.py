"""A host that was called gone for good comes back: it concedes what was reclaimed."""

from __future__ import annotations

from pathlib import Path

import pytest

from domwarden.contract import (
    PermanentError,
)
from domwarden.journal import HistoryKind
from domwarden.migration import Message, Outcome
from domwarden.plan import Fact

from ..migration.world import Killed, World
from .reclaimed import (
    GRANTED,
    fenced,
    left_at,
    switch_off,
    switch_on,
    unreachable,
)
from .test_warden import warden


async def test_a_host_that_was_only_cut_off_destroys_what_never_ran(tmp_path: Path) -> None:
    """Its held copy is discarded and its devices are recovered, once it hears of the reclaim."""
    world = World(tmp_path)
    await left_at(world, GRANTED)
    unreachable(world)
    async with fenced(world) as here:
        await here.reclaim("web1")
    world.said.clear()
    switch_on(world)
    async with warden(world, "b") as there:
        assert [one.outcome for one in await there.recover()] == [Outcome.RECLAIMED]
    assert world.states() == {"a": "running", "b": "absent"}
    undone = [(d, hook) for w, d, hook, _ in world.said if w == "b" and hook == "recover"]
    assert undone == [("net", "recover"), ("disk", "recover")]


async def test_what_may_have_run_there_is_kept_with_an_alarm(tmp_path: Path) -> None:
    """Nothing that the guest wrote on that host's disks is undone."""
    world = World(tmp_path)
    await left_at(world, "destination journal ran after")
    await switch_off(world)
    async with fenced(world) as here:
        await here.reclaim("web1")
    world.said.clear()
    switch_on(world)
    async with warden(world, "b") as there:
        await there.recover()
        history = await there._hub.site.journal.history("web1")
    assert [hook for where, _, hook, _ in world.said if where == "b"] == ["close", "close"]
    (alarm,) = [entry.detail for entry in history if entry.kind is HistoryKind.ALARM]
    assert "may have run here" in alarm


async def test_a_fenced_host_that_runs_it_after_all_is_told_to_a_person(tmp_path: Path) -> None:
    """The word was wrong; neither copy is touched."""
    world = World(tmp_path)
    await left_at(world, "destination journal ran after")
    unreachable(world)
    async with fenced(world) as here:
        await here.reclaim("web1")
    switch_on(world)
    async with warden(world, "b") as there:
        (one,) = await there.recover()
    assert one.outcome is Outcome.BROKEN
    assert "which copy is right" in one.detail
    assert world.states() == {"a": "running", "b": "running"}


async def test_a_late_grant_lets_nothing_run_that_was_reclaimed(tmp_path: Path) -> None:
    """Whatever was on its way when the host was called fenced, as soon as it heard of it."""
    world = World(tmp_path)
    await left_at(world, GRANTED)
    unreachable(world)
    async with fenced(world) as here:
        await here.reclaim("web1")
    switch_on(world)

    def die() -> None:
        raise Killed

    async with warden(world, "b") as there:
        (record,) = await there._hub.site.journal.unfinished()
        world.on_point = {"destination journal conceded after": die}
        with pytest.raises(Killed):
            await there.recover()
        assert Fact.CONCEDED in await there._hub.site.journal.facts(record.id)
    for step in ("grant", "activate", "start"):
        async with warden(world) as here:
            link = await here._hub.link("b")
            with pytest.raises(PermanentError, match=r"was reclaimed by a|gave the move"):
                await link.send(Message(record.id, step))
        assert world.states() == {"a": "running", "b": "received"}
    async with warden(world, "b") as there:
        await there.recover()
    assert world.states() == {"a": "running", "b": "absent"}
