"""A stream to another machine is encrypted, and goes to the host that is expected or nowhere."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from domwarden.contract import EngineError, RunState
from domwarden.testing.authority import Authority
from domwarden_xen import libxl

from .moving_bench import Wire, moving, resuming

#: How a stream of libxl begins (docs/specs/libxl-migration-stream.pandoc).
MAGIC = b"LibxlFmt"


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    monkeypatch.setattr(libxl, "resume", resuming(tmp_path))
    return Authority(tmp_path / "pki")


def nothing(_progress: object) -> None:
    """Want no progress."""


@pytest.mark.parametrize("encrypted", [True, False])
async def test_nobody_on_the_way_sees_the_stream(
    authority: Authority, tmp_path: Path, encrypted: bool
) -> None:
    """Where it stays on the machine it is as libxl writes it, elsewhere nothing of that is seen."""
    async with moving(tmp_path, authority if encrypted else None) as move:
        await move.listening()
        wire = Wire(move.address)
        await move.outgoing.precopy(await wire.open(), nothing)
        await move.outgoing.complete(nothing)
        await move.incoming.received()
        await wire.close()
        assert (MAGIC in wire.seen) is not encrypted
        await move.arrived()


async def test_a_source_gives_its_domain_to_nobody_else(
    authority: Authority, tmp_path: Path
) -> None:
    """Another host of the same authority, at the address of the right one, gets nothing."""
    async with moving(tmp_path, authority) as move:
        await move.listening()
        move.expected = "c"
        with pytest.raises(EngineError, match=r"its certificate names \['b'\], not 'c'"):
            await move.outgoing.precopy(move.address, nothing)
        await move.see(RunState.RUNNING, RunState.INCOMING)
        await move.given_up()


async def test_a_destination_takes_a_domain_from_nobody_else(
    authority: Authority, tmp_path: Path
) -> None:
    """Who speaks plainly or shows another host's certificate goes, and the source still comes."""
    files = authority.host("c")
    async with moving(tmp_path, authority) as move:
        await move.listening()
        place = move.address["xen"]["host"], move.address["xen"]["port"]
        reader, writer = await asyncio.open_connection(*place)
        body = b'{"migration": "move-1", "token": "%s"}' % move.address["xen"]["token"].encode()
        writer.write(len(body).to_bytes(4, "big") + b"\x01" + body)
        assert MAGIC not in await asyncio.wait_for(reader.read(-1), 10)
        writer.close()
        other = ssl.create_default_context(cafile=str(files.authority))
        other.check_hostname = False
        other.load_cert_chain(files.certificate, files.key)
        reader, writer = await asyncio.open_connection(*place, ssl=other)
        with pytest.raises((ConnectionResetError, ssl.SSLError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 10)
        writer.transport.abort()
        await move.outgoing.precopy(move.address, nothing)
        await move.outgoing.complete(nothing)
        await move.incoming.received()
        await move.arrived()
