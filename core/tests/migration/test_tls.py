"""A domain moves between hosts that TLS connects."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="domwarden[pki] is not installed")


from domwarden.contract import (
    Armed,
    Movement,
    OutcomeUnknownError,
    RefusedError,
    TransientError,
)
from domwarden.journal.lock import DomainLock
from domwarden.migration import Message, Ports, Timeline, answering, listening, wire
from domwarden.migration.far import RemoteEnd
from domwarden.migration.moving import departing
from domwarden.warden import Warden

from .helpers import MEMORY, move, recover, running_domain
from .tls_world import EPOCH, TlsWorld, client, link, served, shown, until


@pytest.fixture
def world(tmp_path: Path) -> TlsWorld:
    return TlsWorld(tmp_path)


async def test_a_domain_moves_over_tls_and_back(world: TlsWorld) -> None:
    """Tickets, moments and the blackout arrive as they do from a peer in this process."""
    timeline = Timeline()
    await running_domain(world)
    async with world.listening() as listeners:
        moved = await move(world, observer=timeline)
        assert world.states() == {"a": "absent", "b": "running"}
        assert world.memory("b") == MEMORY
        assert moved.blackout_seconds is not None
        assert {moment.host for moment in timeline.moments} == {"a", "b"}
        await move(world, "b", "a")
        assert world.running() == ["a"]
        assert await recover(world, "ab") == []
        # Nobody is left behind.
        await until(lambda: not any(listener.tasks for listener in listeners.values()))


async def test_a_start_asks_a_peer_over_tls(world: TlsWorld) -> None:
    """It answers for its copy; when nobody listens, that is silence."""
    await running_domain(world)
    for listens, code in ((True, "copy-elsewhere"), (False, "peer-silent")):
        async with contextlib.AsyncExitStack() as stack:
            if listens:
                await stack.enter_async_context(world.listening("a"))
            warden = Warden(world.host_file("b"), ports=world.ports(), in_process=True)
            with pytest.raises(RefusedError) as caught:
                await (await stack.enter_async_context(warden)).start(world.definition())
            assert [r.code for r in caught.value.refusals] == [code]


async def test_a_link_that_was_closed_has_let_go_over_there(world: TlsWorld) -> None:
    """The next verb of that host must not find the domain's lock taken."""
    async with world.listening("b") as listeners:
        (address,) = listeners["b"].addresses
        way = link(world, address)
        definition = world.definition().as_json()
        moving = {"domain": "web1", "movement": "migrate", "source": "a", "epoch": 1}
        moving |= {"running": True, "definition": definition}
        await way.send(Message("m", "look", {"move": moving}))
        await way.aclose()
        with DomainLock(world.hosts["b"].state_directory, "web1"):
            pass
        assert (await way.send(EPOCH))["epoch"] == 0
        await way.aclose()


async def test_a_move_that_a_peer_left_unfinished_is_settled_by_itself(
    world: TlsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No held copy waits for nobody: its source is silent, and it was not ready, so it goes."""
    monkeypatch.setattr(answering, "FIRST_TRY_SECONDS", 0.0)
    await running_domain(world)
    async with world.listening("b") as listeners:
        async with world.hub("a") as hub:
            record = await departing(hub, "web1", Movement.MIGRATE, "b")
            far = RemoteEnd(await hub.link("b"), record, "a")
            await far.open({}, Armed.UNKNOWN)
            assert world.states() == {"a": "running", "b": "incoming"}
        await until(lambda: world.states() == {"a": "running", "b": "absent"})
        await until(lambda: not listeners["b"].tasks)
    assert await recover(world, "b") == []


async def test_what_listens_ends_with_its_peers_there(world: TlsWorld) -> None:
    """They hear of it at once, and find it again when it is back."""
    async with world.listening("b") as listeners:
        way = link(world, listeners["b"].addresses[0])
        await way.send(EPOCH)
        assert listeners["b"].tasks
    with pytest.raises((OutcomeUnknownError, TransientError)):
        await way.send(EPOCH)
    assert not listeners["b"].tasks
    await way.aclose()


async def test_whoever_closes_a_link_waits_for_the_other_end(world: TlsWorld) -> None:
    """It says that nothing more comes, and the peer closes when it has let go."""
    let_go = asyncio.Event()

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(wire.encode(wire.greeting("b")))
        while (said := wire.decode(await reader.readline())) != {"end": 1}:
            if "id" in said:
                writer.write(wire.encode({"id": said["id"], "answer": {}}))
        await asyncio.to_thread(time.sleep, 0.1)  # what letting go may take
        let_go.set()
        writer.close()

    async with served(peer, world.credentials["b"]) as address:
        way = link(world, address)
        await way.send(EPOCH)
        await way.aclose()
        assert let_go.is_set()


async def test_no_answer_waits_for_the_peers_delayed_acknowledgement(
    world: TlsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer follows a moment at once, where the kernel would hold it back for 40 ms."""
    at_once: list[int] = []

    async def look(
        _: object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> set[str]:
        accepted = writer.get_extra_info("socket")
        at_once.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        return set()

    monkeypatch.setattr(listening, "answer", look)
    async with world.listening("b") as listeners:
        assert await shown(listeners["b"].addresses[0], client(world.credentials["a"])) == b""
    assert at_once == [1]


async def test_a_bug_in_the_answer_to_one_client_ends_no_other(
    world: TlsWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, its client hears the end, and the next one is answered."""
    bugs = [RuntimeError("a bug")]

    def ports() -> Ports:
        if bugs:
            raise bugs.pop()
        return world.ports()

    async with listening.listening(world.host_file("b"), ports) as listener:
        way = link(world, listener.addresses[0])
        with pytest.raises(TransientError, match="b cannot be reached"):
            await way.send(EPOCH)
        assert [record.getMessage() for record in caplog.records] == ["a was not answered"]
        assert (await way.send(EPOCH))["epoch"] == 0
        await way.aclose()
