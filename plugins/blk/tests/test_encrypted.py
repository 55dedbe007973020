"""A disk that travels to another machine goes to the right peer only, and from it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from domwarden.contract import Host, PermanentError
from domwarden.contract.qemu_tls import subject_rules
from domwarden.testing.authority import Authority
from domwarden_blk import nbd_wire as wire
from domwarden_blk.nbd_client import connected
from domwarden_blk.nbd_server import NbdServer
from domwarden_blk.travel import Secured


@pytest.fixture
def hosts(tmp_path: Path) -> dict[str, Host]:
    """Hosts of one authority, and one called as a is, of another."""
    found = {}
    for authority, names in (("pki", "abc"), ("other", "a")):
        made = Authority(tmp_path / authority)
        for name in names:
            key = name if authority == "pki" else "foreign"
            trusted = dataclasses.replace(
                made.host(name), authority=tmp_path / "pki" / "authority.pem"
            )
            found[key] = Host(name, tmp_path / name, tls=trusted)
    return found


@asynccontextmanager
async def served(path: Path, way: Secured | None) -> AsyncIterator[dict[str, object]]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(handle, b"secret" + bytes(4090))
    server = NbdServer(handle, "root", way)
    try:
        port = await server.listen_tcp("127.0.0.1")
        yield {"type": "inet", "host": "127.0.0.1", "port": port}
    finally:
        server.close()
        await server.wait_closed()
        os.close(handle)


async def test_the_two_ends_of_a_disk_know_each_other(
    tmp_path: Path, hosts: dict[str, Host]
) -> None:
    ours, theirs = Secured(hosts["a"], "b"), Secured(hosts["b"], "a")
    async with (
        served(tmp_path / "disk", theirs) as address,
        connected(address, "root", ours) as client,
    ):
        await client.write(0, b"SECRET")
        assert await client.read(0, 6) == b"SECRET"


@pytest.mark.parametrize("who", ["c", "foreign"])
async def test_a_disk_is_not_served_to_another_host(
    tmp_path: Path, hosts: dict[str, Host], who: str
) -> None:
    async with served(tmp_path / "disk", Secured(hosts["b"], "a")) as address:
        with pytest.raises(PermanentError):
            async with connected(address, "root", Secured(hosts[who], "b")) as client:
                await client.read(0, 6)
        async with connected(address, "root", Secured(hosts["a"], "b")) as client:
            assert await client.read(0, 6) == b"secret"


async def test_a_disk_is_not_served_in_plain(tmp_path: Path, hosts: dict[str, Host]) -> None:
    async with served(tmp_path / "disk", Secured(hosts["b"], "a")) as address:
        with pytest.raises(PermanentError):
            async with connected(address, "root"):
                pass


async def test_a_disk_is_not_sent_to_another_host(tmp_path: Path, hosts: dict[str, Host]) -> None:
    async with served(tmp_path / "disk", Secured(hosts["c"], "a")) as address:
        with pytest.raises(PermanentError, match="its certificate names 'c', not 'b'"):
            async with connected(address, "root", Secured(hosts["a"], "b")):
                pass


async def test_a_disk_is_not_sent_to_who_speaks_no_tls(
    tmp_path: Path, hosts: dict[str, Host]
) -> None:
    async with served(tmp_path / "disk", None) as address:
        with pytest.raises(PermanentError, match="does not speak TLS"):
            async with connected(address, "root", Secured(hosts["a"], "b")):
                pass


async def test_what_is_said_ahead_of_tls_is_not_heard_behind_it(
    tmp_path: Path, hosts: dict[str, Host]
) -> None:
    """Somebody on the way adds requests of his own to the plain words that ask for TLS."""

    async def meddle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(address["host"], address["port"])
        asked = struct.pack(">I", wire.FIXED_NEWSTYLE | wire.NO_ZEROES) + wire.OPTION.pack(
            wire.OPTION_MAGIC, wire.OPTION_STARTTLS, 0
        )
        added = wire.OPTION.pack(wire.OPTION_MAGIC, wire.OPTION_EXPORT_NAME, 4) + b"root"
        added += wire.REQUEST.pack(wire.REQUEST_MAGIC, 0, wire.Command.WRITE, 1, 0, 5) + b"wrong"
        writer.write(await there[0].readexactly(wire.GREETING.size))
        assert await reader.readexactly(len(asked)) == asked
        there[1].write(asked + added)
        await asyncio.gather(_pass(reader, there[1]), _pass(there[0], writer))

    async with served(tmp_path / "disk", Secured(hosts["b"], "a")) as address:
        between = await asyncio.start_server(meddle, "127.0.0.1", 0)
        port = between.sockets[0].getsockname()[1]
        with pytest.raises(PermanentError):
            async with connected({**address, "port": port}, "root", Secured(hosts["a"], "b")):
                pass
        between.close()
        await between.wait_closed()
    assert (tmp_path / "disk").read_bytes().startswith(b"secret")


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


def test_a_subject_is_known_by_its_whole_common_name() -> None:
    """QEMU goes through the rules in order; no text with an escape gets past the first."""
    rules = subject_rules("m1")
    assert rules[0] == {"match": "*\\*", "format": "glob", "policy": "deny"}
    assert [rule["match"] for rule in rules[1:]] == ["CN=m1", "CN=m1,*", "*,CN=m1", "*,CN=m1,*"]
    assert {rule["policy"] for rule in rules[1:]} == {"allow"}
