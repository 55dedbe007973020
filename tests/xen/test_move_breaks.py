"""Whatever breaks while ``domwarden migrate`` runs on real Xen, exactly one copy goes on."""

from __future__ import annotations

import asyncio

import pytest

from ..testbeds.xen import guests
from ..testbeds.xen.bed import Bed
from ..testbeds.xen.wardens import LICENCE, copies
from .moving import NAME, Move, moving

#: Each moves all of a guest's memory between two emulated machines, some of them twice.
pytestmark = [
    pytest.mark.live,
    pytest.mark.xen,
    pytest.mark.slow,
    pytest.mark.time_limit(3000),
]

PATIENCE_SECONDS = 600.0
SAVED = "/var/test/web1.saved"
CUT = "/var/test/web1.cut"
_WAY = """
if grep -q '"phase": "go"' "$1"; then
    touch "$0.waits"
    while [ ! -e "$0" ]; do sleep 1; done
fi
shift
exec "$@"
"""


async def test_a_device_that_fails_at_start_leaves_the_domain_at_its_source(bed: Bed) -> None:
    """The licence that was laid down beside it is taken back."""
    async with moving(bed) as move:
        since = await move.start()
        await move.fail(move.here, 2)
        failed = await move.migrate()
        assert failed.status == 1
        assert "told to fail at step 2" in failed.stderr
        await move.goes_on(move.here, since)
        assert (
            (await move.calls(move.here))
            .splitlines()[-1]
            .endswith("-step 2 -host m2 -domname web1 -recover")
        )
        assert (await move.here.run("recover")).status == 0


#: Where the process that drives the move is killed, and the number of the host that goes on.
POINTS = {
    "source engine precopy before": 0,
    "pre-switchover": 0,
    "before-continue": 0,
    "released-not-granted": 1,
    "running-not-stopped": 1,
}


@pytest.mark.parametrize("point", POINTS)
async def test_one_copy_goes_on_after_the_driver_was_killed(bed: Bed, point: str) -> None:
    """With SIGKILL, at a named point; ``domwarden recover`` leaves nothing unfinished."""
    async with moving(bed) as move:
        since = await move.start()
        killed = await move.migrate(crash_at=point)
        where = (move.here, move.there)[POINTS[point]]
        # The watcher settles it at once: a move that was released has arrived all the same.
        assert killed.status == (1 if where is move.here else 0), killed.stderr
        await move.settled(where, since)


async def test_a_link_that_is_cut_while_ready_is_held_leaves_it_at_its_source(bed: Bed) -> None:
    """The source decides alone; the destination gives its copy up."""
    async with moving(bed) as move:
        since = await move.start()
        under_way = await _held(move)
        await bed.cut()
        await move.hold(move.here, 3, yes=False)
        assert (await under_way).status == 1
        # Before the destination is heard of again, the guest runs, and nothing runs over there.
        assert _running(await copies(bed, NAME)) == [("m1", NAME)]
        await bed.restore()
        await move.settled(move.here, since)


async def test_a_destination_that_freezes_while_ready_is_held_leaves_it_at_its_source(
    bed: Bed,
) -> None:
    """It is thawed later, and finds that it has lost the domain."""
    async with moving(bed) as move:
        since = await move.start()
        under_way = await _held(move)
        bed.m2.freeze()
        await move.hold(move.here, 3, yes=False)
        assert (await under_way).status == 1
        async with guests.console(bed.m1, NAME) as console:
            assert float(await console.command("uptime")) > since
        bed.m2.thaw()
        await move.settled(move.here, since)


async def test_a_link_that_is_cut_after_the_release_lets_only_the_destination_run(
    bed: Bed,
) -> None:
    """Meanwhile nobody runs it: the source has given it away, and the destination was not told."""
    async with moving(bed) as move:
        since = await move.start()
        # Once the source holds *go*, the next connection is the recovery's: it waits for the cut.
        note = f"{move.here.folder}/state/domains/{NAME}/xen/source.json"
        await move.here.install("sh", "-c", _WAY, CUT, note)
        under_way = asyncio.create_task(move.migrate(crash_at="released-not-granted"))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await _waits(move):  # noqa: ASYNC110 - another machine's doing
                await asyncio.sleep(1)
        await bed.cut()
        await move.here.host.output("touch", CUT)
        assert (await under_way).status == 1
        assert _running(await copies(bed, NAME)) == []
        waiting = await move.here.run("recover")
        assert waiting.status == 1
        assert "waiting" in waiting.stdout
        assert _running(await copies(bed, NAME)) == []
        await bed.restore()
        await move.settled(move.there, since)


async def test_a_domain_is_saved_and_restored_with_its_devices(bed: Bed) -> None:
    """The licence is free in between, and the guest goes on where it was, once."""
    async with moving(bed) as move:
        since = await move.start()
        saved = await move.here.run("save", NAME, SAVED)
        assert saved.status == 0, saved.stderr
        assert await copies(bed, NAME) == []
        assert await move.licences() == [f"{LICENCE}.free"]
        restored = await move.here.run("restore", SAVED)
        assert restored.status == 0, restored.stderr
        await move.goes_on(move.here, since)
        again = await move.here.run("restore", SAVED)
        assert again.status == 1


async def _held(move: Move) -> asyncio.Task[object]:
    """Begin a move, and take it until the source's SYNC waits while its xl's *ready* is held."""
    await move.hold(move.here, 3)
    under_way = asyncio.create_task(move.migrate())
    await move.reached(move.here, 3)
    return under_way


async def _waits(move: Move) -> bool:
    return (await move.here.host.run(["test", "-e", f"{CUT}.waits"])).status == 0


def _running(found: list[tuple[str, str, str]]) -> list[tuple[str, str]]:
    """Return host and name of the copies that are neither paused nor shut down."""
    return [(host, name) for host, name, state in found if state[2:4] == "--"]
