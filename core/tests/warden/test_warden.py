"""Every verb of a host, over the toy hypervisors."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from domwarden.contract import (
    Action,
    BrokenError,
    ConflictError,
    DomwardenError,
    EngineError,
    Expiry,
    OutcomeUnknownError,
    PermanentError,
    RefusedError,
    RunState,
    WatchdogEntry,
)
from domwarden.migration import Hub, MoveFailedError, Timeline
from domwarden.migration.request import Request, Verb
from domwarden.plan import Desired
from domwarden.warden import Warden

from ..migration.helpers import faulty, meanwhile
from ..migration.toy_engine import ToyEngine
from ..migration.world import Killed, World


def warden(world: World, host: str = "a", **more: object) -> Warden:
    made = Warden(world.host_file(host), ports=world.ports(), in_process=True, **more)  # type: ignore[arg-type]  # fenced
    made._hub._wrap_link = lambda peer, link: world.wrap_link(peer, link)
    return made


async def test_a_domain_starts_and_stops(tmp_path: Path) -> None:
    """The live definition is journaled, devices are opened before and closed after."""
    world = World(tmp_path)
    async with warden(world) as here:
        live = await here.start(world.definition())
        assert live.live == {"machine": "toy-1"}
        assert world.states()["a"] == "running"
        (status,) = await here.status("web1")
        assert (status.state, status.desired, status.epoch) == (
            RunState.RUNNING,
            Desired.RUNNING,
            1,
        )
        assert status.devices["disk"] == {"device": "disk"}
        assert status.as_json()["state"] == "running"
        assert await here.stop("web1") == ()
        (status,) = await here.status("web1")
        assert (status.state, status.desired) == (RunState.ABSENT, Desired.STOPPED)
        await here.start(world.definition(), paused=True)
        (status,) = await here.status()
        assert (status.state, status.desired, status.epoch) == (RunState.PAUSED, Desired.PAUSED, 2)
    assert [(d, h) for _, d, h, _ in world.said] == [
        ("disk", "open"),
        ("net", "open"),
        ("net", "close"),
        ("disk", "close"),
        ("disk", "open"),
        ("net", "open"),
    ]


async def test_a_start_that_fails_leaves_nothing_half_done(tmp_path: Path) -> None:
    """Whatever was opened is closed again, whether a device or the engine failed."""
    world = World(tmp_path)
    async with warden(world) as here:
        world.options = {"net": {"open": PermanentError("no bridge")}}
        with pytest.raises(PermanentError, match="net at open on a: no bridge"):
            await here.start(world.definition())
        world.options = {}
        world.faults.before["a", "start"] = EngineError("no memory")
        with pytest.raises(EngineError):
            await here.start(world.definition())
        assert world.states()["a"] == "absent"
        (status,) = await here.status()
        assert status.desired is Desired.STOPPED
    closed = [d for _, d, h, _ in world.said if h == "close"]
    assert closed == ["net", "disk", "net", "disk"]


async def test_why_a_start_failed_is_told_where_its_end_fails_too(tmp_path: Path) -> None:
    """The first reason is what its reader must know; what is left is taken away later."""
    world = World(tmp_path)
    async with warden(world) as here:
        world.faults.before["a", "start"] = EngineError("no bridge")
        world.faults.before["a", "stop"] = EngineError("it outlives its end")
        with pytest.raises(PermanentError, match="no bridge; then it outlives") as caught:
            await here.start(world.definition())
        assert "recover" in caught.value.hint
        world.faults.before.clear()
        assert [one.detail for one in await here.recover()] == [
            "its stop was interrupted; its devices are closed"
        ]


async def test_a_domain_is_started_once(tmp_path: Path) -> None:
    """Neither twice here nor beside a copy elsewhere."""
    world = World(tmp_path)
    async with warden(world) as here, warden(world, "b") as there:
        await here.start(world.definition())
        with pytest.raises(PermanentError, match="is running on a"):
            await here.start(world.definition())
        with pytest.raises(RefusedError) as caught:
            await there.start(world.definition())
        assert [r.code for r in caught.value.refusals] == ["copy-elsewhere"]
        await here.stop("web1")
        with pytest.raises(RefusedError) as caught:
            await there.start(world.definition())
        assert [r.code for r in caught.value.refusals] == ["newer-elsewhere"]


async def test_the_devices_of_an_ended_domain_are_closed_as_they_were_opened(
    tmp_path: Path,
) -> None:
    """Its file may say something else by now."""
    world = World(tmp_path)
    async with warden(world) as here:
        await here.start(world.definition())
        world.engine("a").write("web1", state="ended")
        world.said.clear()
        world.devices = ("disk", "tpm")
        await here.start(world.definition())
    assert [(d, h) for _, d, h, _ in world.said] == [
        ("net", "close"),
        ("disk", "close"),
        ("disk", "open"),
        ("tpm", "open"),
    ]


async def test_a_domain_is_not_started_beside_its_copy_on_another_engine(tmp_path: Path) -> None:
    """Its file names another hypervisor by now, which knows nothing of the copy that runs."""
    world = World(tmp_path)
    toys = world.ports()
    empty = ToyEngine(dataclasses.replace(world.hosts["a"], state_directory=tmp_path / "other"))
    ports = dataclasses.replace(
        toys, engine=lambda name, host: empty if name == "other" else toys.engine(name, host)
    )
    async with Warden(world.host_file("a"), ports=ports, in_process=True) as here:
        await here.start(world.definition())
        with pytest.raises(PermanentError, match="is running on a"):
            await here.start(dataclasses.replace(world.definition(), engine="other"))


async def test_a_silent_peer_counts_as_owner_unless_fenced(tmp_path: Path) -> None:
    """Only an operator's word replaces its answer."""
    world = World(tmp_path)
    world.wrap_link = faulty({"epoch": ["dead"]})
    async with warden(world) as here:
        with pytest.raises(RefusedError, match="does not answer"):
            await here.start(world.definition())
    async with warden(world, fenced=["b"]) as here:
        await here.start(world.definition())


async def test_a_fenced_peers_domain_starts_under_a_newer_epoch(tmp_path: Path) -> None:
    """So that the fenced host takes nothing when it comes back."""
    world = World(tmp_path)
    async with warden(world) as here:
        await here.start(world.definition())
        await here.migrate("web1", "b")
    await world.engine("b").stop("web1")
    async with warden(world, fenced=["b"]) as here:
        await here.start(world.definition())
        (status,) = await here.status()
        assert status.epoch == 3


async def test_of_two_hosts_that_want_a_domain_at_once_not_both_get_it(tmp_path: Path) -> None:
    """What one heard of the other is old as soon as the other one begins, too."""
    world = World(tmp_path)
    refused: list[str] = []

    async def start_on_b() -> None:
        async with warden(world, "b") as there:
            with pytest.raises(RefusedError) as caught:
                await there.start(world.definition())
        refused.extend(refusal.code for refusal in caught.value.refusals)

    world.wrap_link = meanwhile(start_on_b)
    async with warden(world) as here:
        await here.start(world.definition())
    assert refused == ["peer-busy"]
    assert world.running() == ["a"]


async def test_a_domain_is_paused_and_resumed(tmp_path: Path) -> None:
    """Each verb only from the state that it is for."""
    world = World(tmp_path)
    async with warden(world) as here:
        await here.start(world.definition())
        await here.pause("web1")
        with pytest.raises(PermanentError, match="not running"):
            await here.pause("web1")
        await here.resume("web1")
        with pytest.raises(PermanentError, match="not paused"):
            await here.resume("web1")
        await here.reset("web1")
        assert world.states()["a"] == "running"


async def test_a_pause_that_a_host_clock_would_outlive_is_refused(tmp_path: Path) -> None:
    """The watchdog would kill the paused domain."""
    world = World(tmp_path)
    world.watchdog = WatchdogEntry("toy", timeout_seconds=10.0)
    async with warden(world) as here:
        await here.start(world.definition())
        with pytest.raises(RefusedError, match="watchdog"):
            await here.pause("web1")
        assert world.states()["a"] == "running"


async def test_a_migration_moves_what_status_says(tmp_path: Path) -> None:
    """Both hosts say where the domain is, and the timeline has its blackout."""
    world = World(tmp_path)
    timeline = Timeline()
    async with warden(world) as here, warden(world, "b") as there:
        await here.start(world.definition())
        plan = await here.plan("web1", "b")
        assert plan.refusals == ()
        assert plan.steps[0] == "test at a"
        moved = await here.migrate("web1", "b", observer=timeline)
        (old,) = await here.status()
        (new,) = await there.status()
        assert (old.desired, old.moved_to, old.state) == (Desired.MOVED, "b", RunState.ABSENT)
        assert (new.desired, new.state, new.epoch) == (Desired.RUNNING, RunState.RUNNING, 2)
        with pytest.raises(RefusedError, match="it moved to b"):
            await here.migrate("web1", "b")
        assert (await there.plan("web1", "a")).refusals == ()
    assert timeline.blackout is not None
    assert moved.blackout_seconds is not None
    measured = timeline.blackout.seconds
    assert measured == pytest.approx(moved.blackout_seconds, abs=0.05)
    jobs = [s for s in timeline.spans() if s.device == "disk" and s.step == "start"]
    assert {span.end for span in jobs} == {"source", "destination"}


async def test_a_save_and_a_restore(tmp_path: Path) -> None:
    """The domain is gone between them."""
    world = World(tmp_path)
    async with warden(world) as here:
        await here.start(world.definition())
        await here.save("web1", tmp_path / "save")
        (status,) = await here.status()
        assert (status.desired, status.state) == (Desired.SAVED, RunState.ABSENT)
        await here.restore(tmp_path / "save")
        (status,) = await here.status()
        assert (status.desired, status.state) == (Desired.RUNNING, RunState.RUNNING)


async def test_every_verb_first_settles_what_was_left(tmp_path: Path) -> None:
    """A domain that a killed process left suspended runs again before anything else happens."""
    world = World(tmp_path)
    async with warden(world) as here:
        await here.start(world.definition())

    def die() -> None:
        raise Killed

    for verb in ("pause", "reset", "stop"):
        world.on_point = {"source engine suspend after": die}
        with pytest.raises(Killed):
            async with warden(world) as here:
                await here.migrate("web1", "b")
        assert world.states()["a"] == "suspended"
        async with warden(world) as here:
            await getattr(here, verb)("web1")
            if verb == "pause":
                assert world.states()["a"] == "paused"
                await here.resume("web1")
            assert world.states()["b"] == "absent"
            assert (await here.status())[0].migration == ""


async def test_a_domain_that_another_process_acts_on_is_left_to_it(tmp_path: Path) -> None:
    """One actor a domain."""
    world = World(tmp_path)
    async with warden(world) as here, warden(world) as other:
        await here.start(world.definition())
        with other._hub.lock("web1"), pytest.raises(ConflictError):
            await here.stop("web1")
        await here.stop("web1")


async def test_an_unfinished_move_that_waits_blocks_other_verbs(tmp_path: Path) -> None:
    """Released to a host that fell silent: nothing here acts on the domain any more."""
    world = World(tmp_path)
    dead = {"grant": ["dead"], "look": ["dead"]}
    world.wrap_link = faulty(dead)
    async with warden(world) as here:
        await here.start(world.definition())
        with pytest.raises(MoveFailedError):
            await here.migrate("web1", "b")
        for verb in (here.stop, here.resume, here.reset):
            with pytest.raises(ConflictError, match="unfinished move"):
                await verb("web1")
        assert (await here.status())[0].migration != ""
        dead.clear()
        (settled,) = await here.recover()
        assert settled.outcome == "arrived"
    assert world.running() == ["b"]


async def test_a_broken_domain_says_what_a_person_must_decide(tmp_path: Path) -> None:
    """No verb touches it."""
    world = World(tmp_path)

    def die() -> None:
        world.engine("b").write("web1", state="ended")
        raise OutcomeUnknownError("gone")

    world.on_point = {"destination engine activate after": die}
    async with warden(world) as here:
        await here.start(world.definition())
        with pytest.raises(MoveFailedError):
            await here.migrate("web1", "b")
        with pytest.raises(BrokenError, match="may have run"):
            await here.stop("web1")
    assert world.states()["a"] == "departed"


async def test_expiries_are_kept(tmp_path: Path) -> None:
    """The watchdog's history outlives the warden."""
    world = World(tmp_path)
    expiry = Expiry("web1", "toy", Action.RESET, 5.0)
    async with warden(world) as here:
        await here.start(world.definition())
        await here.record_expiry(expiry)
    async with warden(world) as here:
        assert await here.expiries("web1") == [expiry]
        assert (await here.status())[0].expiries == 1


async def test_a_lost_journal_blocks_the_host(tmp_path: Path) -> None:
    """Unknown is not empty."""
    world = World(tmp_path)
    async with warden(world) as here:
        await here.start(world.definition())
    (tmp_path / "a" / "journal.sqlite").unlink()
    with pytest.raises(BrokenError):
        await warden(world).__aenter__()
    async with Hub(world.host_file("b"), world.ports()) as hub:
        assert await hub.settle() == []


async def test_every_verb_gives_a_guarded_domain_its_supervisor_again(tmp_path: Path) -> None:
    """Whatever killed it, ``status`` among the verbs; none for a domain that is not here."""
    world = World(tmp_path)
    world.watchdog = WatchdogEntry("toy", timeout_seconds=30.0)
    async with warden(world) as here:
        await here.start(world.definition())
        world.supervised.clear()
        await here.status()
        await here.reset("web1")
        await here.status("other")
        assert world.supervised == [("a", "web1")] * 2
        await here.stop("web1")
        world.supervised.clear()
        await here.status()
        assert world.supervised == []


async def test_a_driver_that_is_kept_ends_with_its_warden(tmp_path: Path) -> None:
    """It waits as long as somebody could use it, and no longer."""
    world = World(tmp_path)
    async with warden(world, keep_driver=True) as here:
        spare = here._drivers._spare
        assert spare is not None
        assert spare.alive
    assert not spare.alive


async def test_the_next_driver_starts_only_after_whoever_waits_has_heard(tmp_path: Path) -> None:
    """It loads for half a second, and would take the processor from them."""
    world = World(tmp_path)
    async with warden(world, keep_driver=True) as here:
        first = here._drivers._spare
        request = Request(verb=Verb.SAVE, domain="nobody", host_file=world.host_file("a"))
        with pytest.raises(DomwardenError):
            await here._drivers.drive(request)
        assert here._drivers._spare is None
        assert here._drivers._starting is not None
        await here._drivers._starting
        assert here._drivers._spare is not None
        assert here._drivers._spare is not first
