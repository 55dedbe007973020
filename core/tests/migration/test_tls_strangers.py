"""Whoever is no peer is refused in one line of the log, and learns nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="domwarden[pki] is not installed")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domwarden.config import Address, Peer
from domwarden.contract import (
    PermanentError,
    Tls,
)
from domwarden.migration import Message, Timeline, listening, wire
from domwarden.testing.authority import Authority

from .helpers import move, running_domain
from .tls_world import (
    EPOCH,
    SAID,
    TlsWorld,
    client,
    link,
    logged,
    refusals,
    shown,
    until,
)


@pytest.fixture
def world(tmp_path: Path) -> TlsWorld:
    return TlsWorld(tmp_path)


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
    old = world.authority.host("a", days=10)
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
