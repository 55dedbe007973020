"""A disk that travels to another machine goes to the right peer only, and from it."""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from domwarden.contract import Host, PermanentError, Tls
from domwarden.contract.qemu_tls import subject_rules
from domwarden.pki import Directory
from domwarden_blk.nbd_client import connected
from domwarden_blk.nbd_server import NbdServer
from domwarden_blk.travel import Secured


@pytest.fixture
def hosts(tmp_path: Path) -> dict[str, Host]:
    """Hosts of one authority, and one called as a is, of another."""
    found = {}
    for authority, names in (("pki", "abc"), ("other", "a")):
        made, now = Directory(tmp_path / authority), datetime.datetime.now(datetime.UTC)
        made.create_authority(now)
        for name in names:
            made.create_host(name, now, 730)
            key = name if authority == "pki" else "foreign"
            files = Tls.usual(name, made.path)
            trusted = dataclasses.replace(files, authority=tmp_path / "pki" / "authority.pem")
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


def test_a_subject_is_known_by_its_whole_common_name() -> None:
    """QEMU goes through the rules in order; no text with an escape gets past the first."""
    rules = subject_rules("m1")
    assert rules[0] == {"match": "*\\*", "format": "glob", "policy": "deny"}
    assert [rule["match"] for rule in rules[1:]] == ["CN=m1", "CN=m1,*", "*,CN=m1", "*,CN=m1,*"]
    assert {rule["policy"] for rule in rules[1:]} == {"allow"}
