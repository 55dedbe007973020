"""A real move whose destination dies or hangs ends with the guest running at its source."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import time
from pathlib import Path

import pytest

from domwarden.contract import Definition, EngineError, MigrationSettings, RunState
from domwarden.testing.console import Console

from .lab import MOVE, NAME, Lab, booted, ignore, until

pytestmark = [pytest.mark.live, pytest.mark.time_limit(180)]


async def _to_switchover(made: Lab, live: Definition) -> None:
    address = await made.engine("b").incoming(NAME, MOVE).listen(live, made.room)
    await made.engine("a").outgoing(live, MOVE).precopy(address, ignore)


async def test_a_destination_killed_while_it_loads_is_heard_and_the_source_runs_on(
    tmp_path: Path,
) -> None:
    async with booted(tmp_path) as (made, live):
        await _to_switchover(made, live)
        outgoing = made.engine("a").outgoing(live, MOVE)
        made.signal("b", signal.SIGSTOP)  # so that it is still loading when it is killed
        completing = asyncio.create_task(outgoing.complete(ignore), name="complete")
        await asyncio.sleep(0.5)
        made.signal("b", signal.SIGKILL)
        with pytest.raises(EngineError, match="transfer failed"):
            await completing
        await outgoing.abort(resume=True)
        assert await made.state("a") == RunState.RUNNING
        assert await made.state("b") == RunState.ENDED
        await made.answers("a")


async def test_a_destination_killed_during_precopy_is_heard(tmp_path: Path) -> None:
    slow = MigrationSettings(bandwidth_bytes_per_second=2**20, timeout_seconds=60.0)
    async with booted(tmp_path, migration=slow) as (made, live):
        address = await made.engine("b").incoming(NAME, MOVE).listen(live, made.room)
        outgoing = made.engine("a").outgoing(live, MOVE)
        copying = asyncio.create_task(outgoing.precopy(address, ignore), name="precopy")
        await asyncio.sleep(0.5)
        assert await made.state("a") == RunState.RUNNING
        made.signal("b", signal.SIGKILL)
        with pytest.raises(EngineError, match="transfer failed"):
            await copying
        await outgoing.abort(resume=True)
        await made.answers("a")


async def test_a_destination_that_hangs_at_the_switchover_is_cut_off_out_of_band(
    tmp_path: Path,
) -> None:
    """The source's main loop stands still with it; the yank brings it back in seconds."""
    async with booted(tmp_path, options={"switchover_timeout": 2.0}) as (made, live):
        await _to_switchover(made, live)
        made.signal("b", signal.SIGSTOP)
        begin = time.monotonic()
        with pytest.raises(EngineError, match="was cut off"):
            await made.engine("a").outgoing(live, MOVE).complete(ignore)
        assert 2.0 <= time.monotonic() - begin < 30.0
        await made.engine("b").incoming(NAME, MOVE).discard()
        assert await made.state("b") == RunState.ABSENT
        await made.engine("a").outgoing(live, MOVE).abort(resume=True)
        assert await made.state("a") == RunState.RUNNING
        await made.answers("a")


async def test_a_cancelled_switchover_to_a_hung_destination_is_cut_off_too(tmp_path: Path) -> None:
    async with booted(tmp_path) as (made, live):
        await _to_switchover(made, live)
        made.signal("b", signal.SIGSTOP)
        outgoing = made.engine("a").outgoing(live, MOVE)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await outgoing.complete(ignore)
        await outgoing.abort(resume=True)
        assert await made.state("a") == RunState.RUNNING
        assert await made.state("b") in (RunState.UNKNOWN, RunState.INCOMING)
        made.signal("b", signal.SIGCONT)
        # Woken, it finds a broken stream (or a whole one) and is not let run by it.
        await asyncio.sleep(1.0)
        assert await made.state("b") in (RunState.ENDED, RunState.RECEIVED)
        await made.answers("a")


async def test_a_destination_that_hangs_while_its_driver_dies_is_settled_by_killing_it(
    tmp_path: Path,
) -> None:
    """A new process cannot yank: the hung main loop negotiates no QMP. Killing does it."""
    async with booted(tmp_path, options={"switchover_timeout": 30.0}) as (made, live):
        await _to_switchover(made, live)
        made.signal("b", signal.SIGSTOP)
        await made.execute("a", "migrate-continue", {"state": "pre-switchover"})
        await until(lambda: _is(made, "a", RunState.UNKNOWN))  # as hung as its destination
        await made.engine("b").incoming(NAME, MOVE).discard()
        await made.engine("a").outgoing(live, MOVE).abort(resume=True)
        assert await made.state("a") == RunState.RUNNING
        await made.answers("a")


async def test_precopy_that_does_not_converge_times_out_and_the_guest_runs_on(
    tmp_path: Path,
) -> None:
    slow = MigrationSettings(
        bandwidth_bytes_per_second=4 * 2**20, downtime_limit_seconds=0.05, timeout_seconds=4.0
    )
    async with booted(tmp_path, migration=slow) as (made, live):
        async with await Console.connect(made.console("a")) as console:
            await console.wait_ready()
            await console.command("dirty 64 100")
        address = await made.engine("b").incoming(NAME, MOVE).listen(live, made.room)
        outgoing = made.engine("a").outgoing(live, MOVE)
        with pytest.raises(EngineError, match=r"did not converge in 4 s \(allow more bandwidth"):
            await outgoing.precopy(address, ignore)
        await outgoing.abort(resume=True)
        await made.answers("a")
        assert await made.migration("a") == "cancelled"


async def test_a_stream_that_does_not_load_says_why(tmp_path: Path) -> None:
    """The destination lacks the card that the stream speaks of."""
    async with booted(tmp_path) as (made, live):
        bare = type(made.room)({})
        poorer = dataclasses.replace(live, live={**live.live, "devices": []})
        incoming = made.engine("b").incoming(NAME, MOVE)
        address = await incoming.listen(poorer, bare)
        outgoing = made.engine("a").outgoing(live, MOVE)
        await outgoing.precopy(address, ignore)
        with pytest.raises(EngineError, match="transfer failed"):
            await outgoing.complete(ignore)
        with pytest.raises(EngineError, match="i6300esb"):
            await incoming.received()
        await outgoing.abort(resume=True)
        assert await made.state("a") == RunState.RUNNING


async def test_a_source_that_dies_leaves_the_destination_held(tmp_path: Path) -> None:
    async with booted(tmp_path) as (made, live):
        await _to_switchover(made, live)
        made.signal("a", signal.SIGKILL)
        await until(lambda: _is(made, "a", RunState.ENDED))
        with pytest.raises(EngineError):
            await made.engine("b").incoming(NAME, MOVE).received()
        with pytest.raises(EngineError, match="process is not here"):
            await made.engine("a").outgoing(live, MOVE).abort(resume=True)
        assert await made.state("b") in (RunState.ENDED, RunState.INCOMING)


async def _is(made: Lab, host: str, state: RunState) -> bool:
    return await made.state(host) == state
