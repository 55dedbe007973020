"""Whatever breaks in a move, exactly one copy runs, and the engines say where."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from domwarden.contract import EngineError, RunState
from domwarden_xen import libxl
from domwarden_xen.transport import processes

from . import fake_world as fake
from .bench import NAME, host_of
from .moving_bench import Moving, Wire, moving, resuming

OTHER = "99999999-2222-3333-4444-555555555555"
Begun = Callable[[], AbstractAsyncContextManager[Moving]]


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begun:
    monkeypatch.setattr(libxl, "resume", resuming(tmp_path))
    return lambda: moving(tmp_path)


def nothing(_progress: object) -> None:
    """Want no progress."""


async def read(move: Moving, source: Mapping[str, str]) -> None:
    """Restore a save, as far as it goes."""
    await move.incoming.listen(move.live, move.bench.room(move.bench.destination), source)
    await move.incoming.received()


async def test_a_link_cut_in_the_stream_is_the_end_of_the_move(begun: Begun) -> None:
    """The source's xl sees its transport fail and goes on; the other destroys its half copy."""
    async with begun() as move:
        await move.listening()
        wire = Wire(move.address)
        address = await wire.open(cut_after_bytes=20_000)
        with pytest.raises(EngineError, match="the transfer failed"):
            await move.outgoing.precopy(address, nothing)
        await wire.close()
        await move.see(RunState.RUNNING, RunState.ENDED)
        await move.given_up()


async def test_a_link_cut_while_ready_is_held_leaves_the_decision_open(begun: Begun) -> None:
    """Neither xl gets an EOF for it; the destination cannot be seen alive, so nobody says go."""
    async with begun() as move:
        await move.listening()
        wire = Wire(move.address)
        await move.outgoing.precopy(await wire.open(), nothing)
        await wire.close()
        await move.see(RunState.SUSPENDED, RunState.RECEIVED)
        with pytest.raises(EngineError, match="the link is lost"):
            await move.outgoing.complete(nothing)
        assert await move.states() == (RunState.SUSPENDED, RunState.RECEIVED)
        await move.given_up()


async def test_a_link_cut_while_go_is_held_hinders_nobody(begun: Begun) -> None:
    """From there on the two ends need no link: both words are said where they are due."""
    async with begun() as move:
        await move.listening()
        wire = Wire(move.address)
        await move.outgoing.precopy(await wire.open(), nothing)
        await move.outgoing.complete(nothing)
        await wire.close()
        await move.see(RunState.DEPARTED, RunState.RECEIVED)
        await move.arrived()


async def test_the_sources_xl_killed_while_ready_is_held_can_go_on(begun: Begun) -> None:
    """Nothing resumes the domain by itself then, so the move goes on without xl."""
    async with begun() as move:
        await move.suspended()
        move.kill("source", "xl")
        await move.see(RunState.DEPARTED, RunState.RECEIVED)
        await move.outgoing.complete(nothing)
        await move.arrived()


async def test_the_sources_xl_killed_while_ready_is_held_can_go_back(begun: Begun) -> None:
    """The domain is resumed through libxl."""
    async with begun() as move:
        await move.suspended()
        move.kill("source", "xl")
        await move.given_up()


async def test_the_sources_xl_killed_while_go_is_held_can_go_back(begun: Begun) -> None:
    """It has another name by then, and gets its own again."""
    async with begun() as move:
        await move.departed()
        move.kill("source", "xl")
        await move.see(RunState.DEPARTED, RunState.RECEIVED)
        await move.given_up()


async def test_the_sources_xl_killed_in_the_stream_ends_the_move(begun: Begun) -> None:
    """The guest was not suspended and goes on."""
    async with begun() as move:
        await move.listening()
        move.holding(move.bench.source, "stream")
        copying = asyncio.create_task(move.outgoing.precopy(move.address, nothing), name="precopy")
        await move.reaches("destination", "streaming")
        move.kill("source", "xl")
        with pytest.raises(EngineError, match="xl ended before its stream"):
            await copying
        await move.see(RunState.RUNNING, RunState.ENDED)
        await move.given_up()


async def test_a_receiver_killed_while_ready_is_held_is_not_given_the_domain(begun: Begun) -> None:
    """It is asked before ready is passed on, and does not answer."""
    async with begun() as move:
        await move.suspended()
        move.kill("destination", "xl")
        move.kill("destination", "shim")
        with pytest.raises(EngineError, match="given away"):
            await move.outgoing.complete(nothing)
        await move.given_up()


async def test_a_receiver_killed_while_go_is_held_is_done_without(begun: Begun) -> None:
    """Its copy was whole and stays: it gets its name and runs by our own hand."""
    async with begun() as move:
        await move.departed()
        move.kill("destination", "xl")
        await move.see(RunState.DEPARTED, RunState.RECEIVED)
        shim = move.note("destination")["shim"]
        await move.arrived()
        async with asyncio.timeout(60):
            while processes.lives(*shim):  # noqa: ASYNC110 - another process ends
                await asyncio.sleep(0.01)


async def test_the_destinations_shim_killed_while_go_is_held(begun: Begun) -> None:
    """Its xl destroys the copy or cannot say so and leaves it: either way one domain runs."""
    async with begun() as move:
        await move.departed()
        move.kill("destination", "shim")
        try:
            await move.incoming.activate(run=True)
        except EngineError:
            await move.see(RunState.DEPARTED, RunState.ENDED)
            await move.given_up()
        else:
            await move.arrived()


async def test_the_sources_shim_killed_while_ready_is_held_lets_xl_resume(begun: Begun) -> None:
    """xl gets its EOF, and the copy over there runs only by a grant that never comes."""
    async with begun() as move:
        await move.suspended()
        move.kill("source", "shim")
        await move.see(RunState.RUNNING, RunState.RECEIVED)
        await move.given_up()


async def test_the_sources_shim_killed_while_go_is_held_leaves_it_departed(begun: Begun) -> None:
    """xl calls that undefined; the note says what it is."""
    async with begun() as move:
        await move.departed()
        move.kill("source", "shim")
        await move.see(RunState.DEPARTED, RunState.RECEIVED)
        await move.arrived()


async def test_a_departed_domain_comes_back_by_xls_own_hand(begun: Begun) -> None:
    """xl is told that the copy was destroyed: it takes the name back and resumes."""
    async with begun() as move:
        await move.departed()
        await move.given_up()
        log = (move.bench.source.host.state_directory / "logs" / f"{NAME}.xen.log").read_text()
        assert "Resumed OK" in log
        assert "undefined" not in log


async def test_a_copy_that_xl_does_not_take_over_is_given_back(begun: Begun) -> None:
    """Another domain took its name meanwhile: xl destroys the copy and says so."""
    async with begun() as move:
        await move.departed()
        with fake.world(host_of(move.bench.destination)) as state:
            state["domains"]["99"] = {**state["domains"]["0"], "name": NAME, "uuid": OTHER}
        with pytest.raises(EngineError, match="destroyed its copy"):
            await move.incoming.activate(run=True)
        await move.see(RunState.DEPARTED, RunState.ENDED)
        with fake.world(host_of(move.bench.destination)) as state:
            del state["domains"]["99"]
        await move.given_up()


async def test_a_guest_that_does_not_suspend_stays(begun: Begun) -> None:
    """A hung guest answers nobody; xl gives up and the domain is as it was."""
    async with begun() as move:
        fake.change(host_of(move.bench.source), NAME, hung=True)
        await move.listening()
        with pytest.raises(EngineError, match="failed to suspend"):
            await move.outgoing.precopy(move.address, nothing)
        await move.see(RunState.RUNNING, RunState.ENDED)
        await move.given_up()


async def test_a_stranger_is_sent_away_and_the_source_still_comes(begun: Begun) -> None:
    """Without the move's token nobody feeds a receiver, or hears a word of it."""
    async with begun() as move:
        await move.listening()
        place = move.address["xen"]["host"], move.address["xen"]["port"]
        reader, writer = await asyncio.open_connection(*place)
        body = b'{"migration": "move-1", "token": "guessed"}'
        writer.write(len(body).to_bytes(4, "big") + b"\x01" + body)
        assert await asyncio.wait_for(reader.read(-1), 10) == b""
        writer.close()
        await move.outgoing.precopy(move.address, nothing)
        await move.given_up()


async def test_one_who_only_connects_does_not_keep_the_source_out(begun: Begun) -> None:
    """Whoever says nothing is let wait beside the source, and goes when that came."""
    async with begun() as move:
        await move.listening()
        place = move.address["xen"]["host"], move.address["xen"]["port"]
        idlers = [await asyncio.open_connection(*place) for _ in range(20)]
        await move.outgoing.precopy(move.address, nothing)
        for reader, writer in idlers:
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(-1), 10) == b""
            writer.close()
        await move.given_up()


async def test_a_domain_destroyed_in_the_midst_of_its_move_leaves_nothing(begun: Begun) -> None:
    """stop() ends the move's processes with it."""
    async with begun() as move:
        await move.suspended()
        shim = move.note("source")["shim"]
        await move.bench.source.stop(NAME)
        assert (await move.bench.source.observe(NAME)).state is RunState.ABSENT
        assert not processes.lives(*shim)
        await move.incoming.discard()
        assert move.running() == []


@pytest.mark.parametrize("length", [30, 3000, -8])
async def test_a_save_that_was_cut_off_is_not_restored(
    begun: Begun, tmp_path: Path, length: int
) -> None:
    """A copy of it never counts as received."""
    async with begun() as move:
        path = tmp_path / "stream"
        await move.outgoing.precopy({"file": str(path)}, nothing)
        await move.outgoing.complete(nothing)
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(EngineError, match="the save is cut off"):
            await read(move, {"file": str(path)})
        await move.given_up()


async def test_a_save_to_a_place_that_is_none_fails_before_the_suspend(begun: Begun) -> None:
    """The reason is the system's own, and the guest runs on."""
    async with begun() as move:
        with pytest.raises(EngineError, match="No such file"):
            await move.outgoing.precopy({"file": "/no/such/place/stream"}, nothing)
        await move.outgoing.abort(resume=True)
        await move.see(RunState.RUNNING, RunState.ABSENT)


async def test_a_save_larger_than_every_buffer_is_restored(begun: Begun, tmp_path: Path) -> None:
    """Its pieces are followed in their order, also where xl is slower than the disk."""
    async with begun() as move:
        with fake.world(host_of(move.bench.source)) as state:
            state["pages"] = 6000
        path = tmp_path / "stream"
        await move.outgoing.precopy({"file": str(path)}, nothing)
        await move.outgoing.complete(nothing)
        await read(move, {"file": str(path)})
        await move.arrived()
