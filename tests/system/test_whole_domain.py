"""A domain with every device moves at its busiest, paused, and through a save."""

from __future__ import annotations

from pathlib import Path

import pytest

from domwarden.contract import RefusedError, RunState

from .house import NAME, House, house
from .story import DISK, Story
from .survival import WATCHDOG_SECONDS, moves_again, other, whole

pytestmark = [pytest.mark.live, pytest.mark.time_limit(400)]


async def _moves_at_its_busiest(made: House, story: Story) -> None:
    """Write to memory and disk without a pause the whole time; both ends' disks are compared."""
    console = await made.console("a")
    await console.command("dirty 48 0")
    await console.command(f"scribble start {DISK} 8", timeout_seconds=30)
    async with made.warden("a") as warden:
        plan = await warden.plan(NAME, "b")
        assert plan.refusals == ()
        story.moves += 1
        moved = await warden.migrate(NAME, "b")
    assert moved.alarms == ()
    console = await made.console("b")
    assert int(await console.command("scribble stop", timeout_seconds=30)) > 100
    await console.command("dirty stop", timeout_seconds=30)
    assert await whole(made, story) == "b"


async def _moves_paused(made: House, story: Story, source: str) -> None:
    """A guest that stood still goes on where it was, only when it is told to."""
    there = other(source)
    async with made.warden(source) as warden:
        await warden.pause(NAME)
        told = made.consoles.one_story(moves=story.moves)
        story.moves += 1
        moved = await warden.migrate(NAME, there)
    assert not moved.running
    assert moved.alarms == ()
    assert await made.state(there) is RunState.PAUSED
    assert await made.state(source) is RunState.ABSENT
    assert made.consoles.one_story(moves=story.moves) == told
    async with made.warden(there) as warden:
        await warden.resume(NAME)
    assert await whole(made, story) == there


async def _is_saved_and_restored(made: House, story: Story, host: str) -> None:
    """The save is taken once; what ran since cannot be set back."""
    place = made.root / "save"
    story.moves += 1
    async with made.warden(host) as warden:
        saved = await warden.save(NAME, place)
    assert saved.alarms == ()
    for each in "ab":
        assert await made.state(each) is RunState.ABSENT
        assert made.programs(each) == []
    told = made.consoles.one_story(moves=story.moves)
    async with made.warden(host) as warden:
        restored = await warden.restore(place)
    assert restored.running
    assert restored.alarms == ()
    assert await whole(made, story) == host
    assert made.consoles.one_story(moves=story.moves) > told
    await _is_refused(made, host, "already-there", "stale-save")


async def _is_refused(made: House, host: str, *codes: str) -> None:
    """See the save refused."""
    async with made.warden(host) as warden:
        with pytest.raises(RefusedError) as refused:
            await warden.restore(made.root / "save")
    assert {refusal.code for refusal in refused.value.refusals} >= set(codes)


async def test_a_domain_with_every_device(tmp_path: Path) -> None:
    """One guest goes there and back, each way differently, and has everything in the end."""
    async with house(tmp_path, disk={"verify": True}) as made:
        story = Story(made)
        await story.begin(watchdog_seconds=WATCHDOG_SECONDS)
        await story.note("a", "at the beginning")
        await _moves_at_its_busiest(made, story)
        await story.note("b", "after a busy move")
        await _moves_paused(made, story, "b")
        await story.note("a", "after a paused move")
        await _is_saved_and_restored(made, story, "a")
        await story.note("a", "after a save")
        await moves_again(made, story, "a")
        async with made.warden("b") as warden:
            assert await warden.stop(NAME) == ()
        await _is_refused(made, "a", "stale-save")
