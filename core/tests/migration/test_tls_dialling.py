"""The end that dials tells nothing to whom it does not know, and says what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="domwarden[pki] is not installed")


from domwarden.config import Address
from domwarden.contract import (
    OutcomeUnknownError,
    PermanentError,
    Tls,
    TransientError,
)
from domwarden.migration import dialling, listening, wire
from domwarden.testing.authority import Authority

from .tls_world import EPOCH, LOOPBACK, TlsWorld, link, served, until


@pytest.fixture
def world(tmp_path: Path) -> TlsWorld:
    return TlsWorld(tmp_path)


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
        shows = world.authority.host("b", days=10)
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
