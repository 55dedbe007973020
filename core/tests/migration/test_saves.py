"""A save is a release to a file, and a restore consumes it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from domwarden.contract import EngineError, PermanentError, RefusedError
from domwarden.journal import DomainRecord
from domwarden.migration import (
    MoveFailedError,
    Outcome,
    Restored,
    Saved,
    restore,
    save,
)
from domwarden.plan import Desired

from .helpers import MEMORY, faulty, recover, running_domain
from .world import Killed, World


async def saved(world: World, path: Path) -> Saved:
    async with world.hub("a") as hub, hub.acting("web1"):
        return await save(hub, "web1", path)


async def restored(world: World, path: Path, host: str = "a", **more: object) -> Restored:
    async with world.hub(host) as hub, hub.acting("web1"):
        return await restore(hub, path, **more)  # type: ignore[arg-type]  # fenced, in one test


async def test_a_domain_is_saved_and_restored(tmp_path: Path) -> None:
    """The domain is gone while it is saved, and runs with its memory and tickets afterwards."""
    world = World(tmp_path)
    await running_domain(world)
    path = tmp_path / "web1.save"
    await saved(world, path)
    assert world.states() == {"a": "absent", "b": "absent"}
    assert {entry.name for entry in path.iterdir()} == {"stream", "manifest.json"}
    seen = {}

    async def look(domain: object, _: object) -> None:
        seen["ticket"] = domain.ticket  # type: ignore[attr-defined]  # a Domain, through the recorder

    world.options = {"disk": {"receive PREPARE": look}}
    await restored(world, path)
    assert world.states() == {"a": "running", "b": "absent"}
    assert world.memory("a") == MEMORY
    assert seen["ticket"]["step"] == "SYNC"


async def test_a_restored_save_is_stale(tmp_path: Path) -> None:
    """Its nonce is consumed, also after the domain was stopped."""
    world = World(tmp_path)
    await running_domain(world)
    path = tmp_path / "web1.save"
    await saved(world, path)
    await restored(world, path)
    await world.engine("a").stop("web1")
    for host in "ab":
        with pytest.raises(RefusedError) as caught:
            await restored(world, path, host)
        assert {r.code for r in caught.value.refusals} == {"stale-save"}


async def test_a_save_of_a_domain_that_ran_since_is_stale(tmp_path: Path) -> None:
    """A newer epoch anywhere makes the save worthless."""
    world = World(tmp_path)
    await running_domain(world)
    path = tmp_path / "web1.save"
    await saved(world, path)
    async with world.hub("b") as hub:
        definition = world.definition()
        await hub.site.journal.write(DomainRecord("web1", 2, Desired.STOPPED, definition))
    with pytest.raises(RefusedError) as caught:
        await restored(world, path)
    assert [(r.code, r.host) for r in caught.value.refusals] == [("stale-save", "b")]


async def test_a_save_can_be_restored_on_another_host_once(tmp_path: Path) -> None:
    """The other host asks the first one, and the first one refuses afterwards."""
    world = World(tmp_path)
    await running_domain(world)
    path = tmp_path / "web1.save"
    await saved(world, path)
    await restored(world, path, "b")
    assert world.running() == ["b"]
    with pytest.raises(RefusedError) as caught:
        await restored(world, path, "a")
    assert {r.code for r in caught.value.refusals} == {"copy-elsewhere"}


async def test_a_silent_peer_counts_as_owner_of_a_save(tmp_path: Path) -> None:
    """Unless the operator names it fenced."""
    world = World(tmp_path)
    await running_domain(world)
    path = tmp_path / "web1.save"
    await saved(world, path)
    world.wrap_link = faulty({"epoch": ["dead"]})
    with pytest.raises(RefusedError) as caught:
        await restored(world, path)
    assert [r.code for r in caught.value.refusals] == ["peer-silent"]
    await restored(world, path, fenced=("b",))
    assert world.running() == ["a"]


@pytest.mark.parametrize("host", ["a", "b"])
@pytest.mark.parametrize("fate", ["runs", "stopped", "undecided"])
async def test_a_save_that_was_given_up_is_never_restored(
    tmp_path: Path, host: str, fate: str
) -> None:
    """Wherever its whole file turns up, and whatever became of the domain since."""
    world = World(tmp_path)
    await running_domain(world)
    path, kept = tmp_path / "web1.save", tmp_path / "kept"

    def die() -> None:
        shutil.copytree(path, kept)
        raise Killed("sealed")

    world.on_point = {"source save seal after": die}
    with pytest.raises(Killed):
        await saved(world, path)
    if fate != "undecided":
        await recover(world, "a")
        assert world.running() == ["a"]
    if fate != "runs":
        await world.engine("a").stop("web1")
    with pytest.raises(RefusedError) as caught:
        await restored(world, kept, host)
    codes = {r.code for r in caught.value.refusals}
    assert codes & {"unfinished-save", "copy-elsewhere", "already-there"}
    if host == "b" and fate != "runs":
        assert codes == {"unfinished-save"}


async def test_the_maker_of_a_save_is_asked_even_where_it_is_no_peer(tmp_path: Path) -> None:
    """Silence counts as owner, whoever is silent; only the operator's word replaces it."""
    world = World(tmp_path)
    await running_domain(world)
    path = tmp_path / "web1.save"
    await saved(world, path)
    world.hosts = {"b": world.hosts["b"]}
    with pytest.raises(RefusedError) as caught:
        await restored(world, path, "b")
    assert [r.code for r in caught.value.refusals] == ["maker-unknown"]
    await restored(world, path, "b", fenced=("a",))
    assert world.running() == ["b"]


async def test_an_existing_path_is_refused(tmp_path: Path) -> None:
    """A save never overwrites anything."""
    world = World(tmp_path)
    await running_domain(world)
    path = tmp_path / "web1.save"
    path.mkdir()
    with pytest.raises(RefusedError) as caught:
        await saved(world, path)
    assert [r.code for r in caught.value.refusals] == ["save-exists"]
    assert world.running() == ["a"]


async def test_what_is_no_save_is_refused_in_one_line(tmp_path: Path) -> None:
    """A missing, broken or newer manifest is named."""
    world = World(tmp_path)
    path = tmp_path / "odd"
    with pytest.raises(PermanentError, match="is no save"):
        await restored(world, path)
    path.mkdir()
    for text in ("{", "[]", '{"version": 9}', '{"version": 1}', '{"version": 1, "definition": 3}'):
        (path / "manifest.json").write_text(text)
        with pytest.raises(PermanentError):
            await restored(world, path)


@pytest.mark.parametrize("step", ["PREPARE", "START", "SYNC"])
async def test_a_failing_save_leaves_the_domain_running_and_no_file(
    tmp_path: Path, step: str
) -> None:
    """What this save made is removed, and nothing else."""
    world = World(tmp_path)
    await running_domain(world)
    (tmp_path / "saves").mkdir()
    (tmp_path / "saves" / ".web1.other.partial").mkdir()
    world.options = {"net": {f"migrate {step}": PermanentError("no")}}
    with pytest.raises(MoveFailedError) as caught:
        await saved(world, tmp_path / "saves" / "web1")
    assert caught.value.settled.outcome is Outcome.RESUMED
    assert world.running() == ["a"]
    assert [e.name for e in (tmp_path / "saves").iterdir()] == [".web1.other.partial"]


@pytest.mark.parametrize("command", ["listen", "received"])
async def test_a_failing_restore_leaves_the_save_as_it_was(tmp_path: Path, command: str) -> None:
    """It can be tried again."""
    world = World(tmp_path)
    await running_domain(world)
    path = tmp_path / "web1.save"
    await saved(world, path)
    world.faults.before["a", command] = EngineError("no")
    with pytest.raises(MoveFailedError) as caught:
        await restored(world, path)
    assert caught.value.settled.outcome is Outcome.GIVEN_UP
    assert world.states()["a"] == "absent"
    await restored(world, path)
    assert world.running() == ["a"]


async def test_a_restore_that_died_unstarted_gives_its_save_back(tmp_path: Path) -> None:
    """The engine refused to run it and it is seen dead: the nonce is whole again."""
    world = World(tmp_path)
    await running_domain(world)
    path = tmp_path / "web1.save"
    await saved(world, path)
    world.on_point = {
        "destination engine activate before": lambda: world.engine("a").write("web1", state="ended")
    }
    with pytest.raises(MoveFailedError):
        await restored(world, path)
    await restored(world, path)
    assert world.memory("a") == MEMORY
    assert world.running() == ["a"]


async def whole(world: World, path: Path) -> None:
    await saved(world, path)
    await restored(world, path)


def test_a_kill_at_any_point_of_a_save_or_restore_loses_nothing(memory_directory: Path) -> None:
    """The domain runs, or its save can be restored; never both, never neither."""

    async def points() -> list[str]:
        world = World(memory_directory / "whole")
        await running_domain(world)
        await whole(world, memory_directory / "whole" / "save")
        return world.points

    async def one(index: int, point: str) -> None:
        directory = memory_directory / str(index)
        world = World(directory)
        path = directory / "save"
        await running_domain(world)
        world.kill_at = index
        with pytest.raises(Killed):
            await whole(world, path)
        world.kill_at = None
        await recover(world, "a")
        assert await recover(world, "ab") == []
        if world.running():
            assert world.running() == ["a"], point
            if path.exists():
                with pytest.raises(RefusedError):
                    await restored(world, path)
        else:
            assert world.states() == {"a": "absent", "b": "absent"}, point
            await restored(world, path)
        assert world.running() == ["a"], point
        assert world.memory("a") == MEMORY, point

    passed = asyncio.run(points())
    assert len(passed) > 50
    for index, point in enumerate(passed):
        asyncio.run(one(index, point))
        shutil.rmtree(memory_directory / str(index))
