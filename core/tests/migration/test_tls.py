"""A domain moves between hosts that TLS connects; whoever else connects learns nothing."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="domwarden[pki] is not installed")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domwarden.config import Address, Peer, Tls
from domwarden.contract import (
    Armed,
    Movement,
    OutcomeUnknownError,
    PermanentError,
    RefusedError,
    TransientError,
)
from domwarden.journal.lock import DomainLock
from domwarden.migration import Message, Ports, Timeline, answering, dialling, listening, tls, wire
from domwarden.migration.dialling import Dialled
from domwarden.migration.far import RemoteEnd
from domwarden.migration.moving import departing
from domwarden.migration.peerlink import PeerLink
from domwarden.warden import Warden

from .helpers import MEMORY, move, recover, running_domain
from .tls_world import LOOPBACK, Authority, TlsWorld, client, shown, until

EPOCH = Message("", "epoch", {"domain": "web1", "engine": "toy", "nonce": ""})
SAID = b'{"ping":1}\n'


@pytest.fixture
def world(tmp_path: Path) -> TlsWorld:
    return TlsWorld(tmp_path)


def link(world: TlsWorld, address: Address, credentials: Tls | None = None) -> PeerLink:
    """Return host a's way to host b."""
    own = credentials or world.credentials["a"]
    return PeerLink("b", lambda: Dialled.start("b", address, own), lambda _: None)


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the log says of refused clients, a line each, and forget it."""
    said = [r.getMessage() for r in caplog.records if r.name == listening.__name__]
    assert all(line.startswith(f"refused {LOOPBACK}, port ") for line in said)
    caplog.clear()
    return [line.partition(": ")[2] for line in said]


async def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Wait for the one line about a client and return it."""
    await until(lambda: caplog.records)
    (line,) = refusals(caplog)
    return line


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


# -- who is refused

Attack = Callable[[TlsWorld, Address, Path], Awaitable[bytes]]


async def _plain(_world: TlsWorld, address: Address, _at: Path) -> bytes:
    return await shown(address, says=SAID)


async def _http(_world: TlsWorld, address: Address, _at: Path) -> bytes:
    return await shown(address, says=b"GET / HTTP/1.1\r\nHost: b\r\n\r\n")


async def _nobody(world: TlsWorld, address: Address, _at: Path) -> bytes:
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname = False
    bare.load_verify_locations(world.credentials["a"].authority)
    return await shown(address, bare, says=SAID)


async def _expired(world: TlsWorld, address: Address, _at: Path) -> bytes:
    world.authority.pki.files("a").certificate.unlink()
    world.authority.pki.files("a").key.unlink()
    old = world.authority.host("a", age_days=30, days=10)
    return await shown(address, client(old), says=SAID)


async def _foreign(world: TlsWorld, address: Address, at: Path) -> bytes:
    foreign = Authority(at).host("a")
    trusting = Tls(world.credentials["a"].authority, foreign.certificate, foreign.key)
    return await shown(address, client(trusting), says=SAID)


async def _self_signed(world: TlsWorld, address: Address, at: Path) -> bytes:
    own = Authority(at).pki.files("authority")
    trusting = Tls(world.credentials["a"].authority, own.certificate, own.key)
    return await shown(address, client(trusting), says=SAID)


async def _stranger(world: TlsWorld, address: Address, _at: Path) -> bytes:
    return await shown(address, client(world.authority.host("c")), says=SAID)


async def _itself(world: TlsWorld, address: Address, _at: Path) -> bytes:
    return await shown(address, client(world.credentials["b"]), says=SAID)


async def _old(world: TlsWorld, address: Address, _at: Path) -> bytes:
    old = client(world.credentials["a"])
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    return await shown(address, old, says=SAID)


@pytest.mark.parametrize(
    ("attack", "why"),
    [
        (_plain, "it speaks no TLS"),
        (_http, "it speaks plain HTTP"),
        (_nobody, "it shows no certificate"),
        (_expired, "its certificate does not hold: certificate has expired"),
        (_foreign, "its certificate does not hold: unable to get local issuer certificate"),
        (_self_signed, "its certificate does not hold: self-signed certificate"),
        (_stranger, "its certificate names 'c', no peer of this host"),
        (_itself, "its certificate names 'b', no peer of this host"),
        (_old, "it speaks no TLS 1.3"),
    ],
)
async def test_who_is_no_peer_is_refused_in_one_line_and_learns_nothing(
    world: TlsWorld, caplog: pytest.LogCaptureFixture, tmp_path: Path, attack: Attack, why: str
) -> None:
    """And a peer is answered beside it."""
    async with world.listening("b") as listeners:
        (address,) = listeners["b"].addresses
        way = link(world, address, world.credentials["a"])
        await way.send(EPOCH)
        caplog.set_level(logging.INFO)
        got = await attack(world, address, tmp_path / "other")
        # A plain client gets TLS's own alert at most; nobody gets a byte of the protocol.
        assert b"domwarden" not in got
        assert b"{" not in got
        assert (await logged(caplog)).startswith(why)
        assert (await way.send(EPOCH))["epoch"] == 0
        await way.aclose()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(says=st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=8))
def test_no_bytes_whatever_are_answered_or_keep_a_peer_out(
    world: TlsWorld, says: list[bytes]
) -> None:
    """Some look like the beginning of TLS and some do not; a peer is answered after all of them."""

    async def run() -> None:
        async with world.listening("b") as listeners:
            (address,) = listeners["b"].addresses
            for said in says:
                for beginning in (b"", b"\x16\x03\x01\x00\x10\x01"):
                    reader, writer = await asyncio.open_connection(address.host, address.port)
                    with contextlib.suppress(OSError):
                        writer.write(beginning + said)
                        writer.write_eof()
                        assert b"{" not in await reader.read()
                    writer.close()
            way = link(world, address)
            assert (await way.send(EPOCH))["epoch"] == 0
            await way.aclose()

    asyncio.run(run())


async def test_a_certificate_of_another_use_is_refused(
    world: TlsWorld, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is for servers only, from the same authority and with the right name."""
    from domwarden.pki import issuing

    real = issuing.ExtendedKeyUsageOID

    class ServersOnly:
        SERVER_AUTH = real.SERVER_AUTH
        CLIENT_AUTH = real.SERVER_AUTH

    monkeypatch.setattr(issuing, "ExtendedKeyUsageOID", ServersOnly)
    async with world.listening("b") as listeners:
        (address,) = listeners["b"].addresses
        world.authority.pki.files("a").certificate.unlink()
        world.authority.pki.files("a").key.unlink()
        assert await shown(address, client(world.authority.host("a")), says=SAID) == b""
        line = await logged(caplog)
        assert line.startswith("its certificate does not hold: un")  # unsupported or unsuitable


async def test_a_client_that_says_nothing_is_dropped_after_a_while(
    world: TlsWorld, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it showed who it is, and after it did."""
    monkeypatch.setattr(wire, "SILENCE_SECONDS", 0.2)
    async with world.listening("b") as listeners:
        (address,) = listeners["b"].addresses
        with monkeypatch.context() as soon:
            soon.setattr(listening, "HANDSHAKE_SECONDS", 0.2)
            assert await shown(address) == b""
            assert await logged(caplog) == "it has not shown who it is in 0.2 s"
        silent = await shown(address, client(world.credentials["a"]))
        assert silent == wire.encode(wire.greeting("b"))  # a peer is greeted, then dropped


async def test_strangers_are_few_at_a_time_and_keep_no_peer_out(
    world: TlsWorld, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more, and who has taken longest to show who it is goes."""
    monkeypatch.setattr(listening, "MOST_STRANGERS", 3)
    async with world.listening("b") as listeners:
        (address,) = listeners["b"].addresses
        idle = [await asyncio.open_connection(address.host, address.port) for _ in range(8)]
        await until(lambda: len(caplog.records) >= 5)
        assert set(refusals(caplog)) == {"3 others came before it had shown who it is"}
        assert len(listeners["b"].tasks) == 3
        way = link(world, address)
        assert (await way.send(EPOCH))["epoch"] == 0
        await way.aclose()
        for reader, writer in idle[:6]:
            assert await reader.read() == b""
            writer.close()
        for _, writer in idle[6:]:
            writer.close()


async def test_a_peer_speaks_for_no_other_host(world: TlsWorld) -> None:
    """Its certificate says whose moves it may speak of."""
    world.peers["b"]["c"] = Peer("c", command=("false",))
    strange = world.authority.host("c")
    await running_domain(world)
    timeline = Timeline()
    async with world.listening() as listeners:
        await move(world, observer=timeline)
        of_a = next(moment.migration for moment in timeline.moments if moment.migration)
        way = link(world, listeners["b"].addresses[0], strange)
        for step in ("look", "settle"):
            with pytest.raises(PermanentError, match=f"c has no part in the move {of_a}"):
                await way.send(Message(of_a, step, {}))
        moving = {
            "domain": "web1",
            "movement": "migrate",
            "source": "a",
            "epoch": 9,
            "running": True,
            "definition": world.definition().as_json(),
        }
        for step in ("test", "open"):
            with pytest.raises(PermanentError, match="c has no part in the move mine"):
                await way.send(Message("mine", step, {"move": moving, "tickets": {}}))
        await way.aclose()


# -- whom the dialling end refuses


@contextlib.asynccontextmanager
async def served(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    credentials: Tls,
) -> AsyncIterator[Address]:
    """Let a peer of the test's own listen with these files."""
    context = tls.context(credentials, server=True)
    server = await asyncio.start_server(answer, LOOPBACK, 0, ssl=context)
    async with server:
        yield Address(*server.sockets[0].getsockname()[:2])


@contextlib.asynccontextmanager
async def answering_as(credentials: Tls) -> AsyncIterator[tuple[Address, list[bytes]]]:
    """Listen with these files; yields where, and what every client said."""
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = b""
        with contextlib.suppress(OSError):  # the other end may go without a word
            while part := await reader.read(65536):
                said += part
        heard.append(said)
        writer.close()

    async with served(hear, credentials) as address:
        yield address, heard


async def test_another_host_at_the_peers_address_is_told_nothing(world: TlsWorld) -> None:
    """A right certificate under a wrong name."""
    async with answering_as(world.authority.host("c")) as (address, heard):
        with pytest.raises(PermanentError, match="for b shows a certificate of c") as caught:
            await link(world, address).send(EPOCH)
        assert "address" in caught.value.hint
        await until(lambda: heard)
        assert heard == [b""]


@pytest.mark.parametrize(
    ("made", "why"),
    [("expired", "certificate has expired"), ("foreign", "unable to get local issuer")],
)
async def test_a_peer_whose_certificate_does_not_hold_is_told_nothing(
    world: TlsWorld, tmp_path: Path, made: str, why: str
) -> None:
    """Expired, or of a foreign authority."""
    if made == "expired":
        for file in (world.credentials["b"].certificate, world.credentials["b"].key):
            file.unlink()
        shows = world.authority.host("b", age_days=30, days=10)
    else:
        foreign = Authority(tmp_path / "other").host("b")
        shows = Tls(world.credentials["a"].authority, foreign.certificate, foreign.key)
    async with answering_as(shows) as (address, heard):
        with pytest.raises(PermanentError, match=why):
            await link(world, address).send(EPOCH)
        assert not any(heard)


async def test_a_port_on_which_nobody_answers_is_named(
    world: TlsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused at once, or given up after a while; both may get better."""
    async with answering_as(world.credentials["b"]) as (closed, _):
        pass
    with pytest.raises(TransientError, match=f"b cannot be reached at {closed}: "):
        await link(world, closed).send(EPOCH)
    monkeypatch.setattr(dialling, "DIAL_SECONDS", 0.2)
    with socket.create_server((LOOPBACK, 0)) as silent:
        address = Address(*silent.getsockname())
        with pytest.raises(TransientError, match=r"no answer in 0\.2 s"):
            await link(world, address).send(EPOCH)


async def test_a_peer_that_refuses_us_is_said_to_have_closed(world: TlsWorld) -> None:
    """It tells us no reason: its log has it."""
    world.peers["b"].clear()
    async with world.listening("b") as listeners:
        with pytest.raises(TransientError, match="b cannot be reached: ") as caught:
            await link(world, listeners["b"].addresses[0]).send(EPOCH)
        assert "its log says why" in caught.value.hint


# -- a link that is cut, or silent


@contextlib.asynccontextmanager
async def wire_tap(there: Address) -> AsyncIterator[tuple[Address, list[asyncio.Transport]]]:
    """Pass bytes on between two ends; yields where, and the transports that a test may stop."""
    transports: list[asyncio.Transport] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while part := await reader.read(65536):
                writer.write(part)
        writer.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onwards, back = await asyncio.open_connection(there.host, there.port)
        transports.extend((writer.transport, back.transport))
        await asyncio.gather(pump(reader, back), pump(onwards, writer))

    server = await asyncio.start_server(join, LOOPBACK, 0)
    async with server:
        yield Address(*server.sockets[0].getsockname()[:2]), transports
        for transport in transports:
            transport.abort()


@pytest.mark.parametrize(
    ("cut", "why"), [(True, "did not answer"), (False, r"it said nothing for 0\.5 s")]
)
async def test_a_link_that_is_cut_or_silent_leaves_the_outcome_unknown(
    world: TlsWorld, monkeypatch: pytest.MonkeyPatch, cut: bool, why: str
) -> None:
    """As one over a command does; the next message dials again."""
    monkeypatch.setattr(wire, "SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(wire, "PING_SECONDS", 0.05)
    async with world.listening("b") as listeners:
        (address,) = listeners["b"].addresses
        async with wire_tap(address) as (tapped, transports):
            way = link(world, tapped)
            assert (await way.send(EPOCH))["epoch"] == 0
            for transport in transports:
                if cut:
                    transport.abort()
                else:
                    transport.pause_reading()
            with pytest.raises(OutcomeUnknownError, match=why):
                await way.send(EPOCH)
            assert (await way.send(EPOCH))["epoch"] == 0
            await way.aclose()
            await until(lambda: not listeners["b"].tasks)  # the other end has noticed, too


# -- files that do not serve


async def test_files_that_do_not_serve_are_named(world: TlsWorld, tmp_path: Path) -> None:
    """Missing, readable by anybody, no PEM, another's key, a key with a password."""
    own, other = world.credentials["a"], world.credentials["b"]
    missing = tmp_path / "missing"
    text = tmp_path / "text"
    text.write_text("hello")
    text.chmod(0o600)
    open_to_all = tmp_path / "open.key"
    open_to_all.write_bytes(own.key.read_bytes())
    open_to_all.chmod(0o644)
    locked = tmp_path / "locked.key"
    locked.write_bytes(_locked(own.key))
    locked.chmod(0o600)
    for files, why in (
        (Tls(missing, own.certificate, own.key), "missing: No such file"),
        (Tls(own.authority, missing, own.key), "missing: No such file"),
        (Tls(own.authority, own.certificate, missing), "missing: No such file"),
        (Tls(text, own.certificate, own.key), "text holds no certificate in PEM"),
        (Tls(own.authority, text, own.key), "are no certificate and its key"),
        (Tls(own.authority, own.certificate, text), "are no certificate and its key"),
        (Tls(own.authority, own.certificate, other.key), "key values mismatch"),
        (Tls(own.authority, own.certificate, open_to_all), "anybody may read the key"),
        (Tls(own.authority, own.certificate, locked), "are no certificate and its key"),
    ):
        world.credentials["b"] = files
        with pytest.raises(PermanentError, match=why):
            async with world.listening("b"):
                pass
        with pytest.raises(PermanentError, match=why):
            await link(world, Address(LOOPBACK, 1), files).send(EPOCH)


def _locked(key: Path) -> bytes:
    from cryptography.hazmat.primitives import serialization

    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    return loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )


async def test_an_address_that_is_not_this_hosts_is_named(world: TlsWorld) -> None:
    """Taken, or of another machine."""
    async with world.listening("b") as listeners:
        for address in (listeners["b"].addresses[0], Address("192.0.2.1", 0)):
            taken = dataclasses.replace(world.host_file("a"), listen=address)
            with pytest.raises(PermanentError, match="peers cannot be listened for at") as caught:
                async with listening.listening(taken):
                    pass
            assert "listen" in caught.value.hint
