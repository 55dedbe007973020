"""What a guest holds in memory and on disk crosses a network that somebody records, unreadable."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from domwarden.contract import RefusedError, Tls, tls
from domwarden.pki import Directory
from domwarden.testing.namespace import in_own_network, ip

from .hosts import PEERS, shell, started, write_domain, write_host
from .lab import NAME, guest

pytestmark = [pytest.mark.live]

#: Of the namespace alone; what hosts send to each other goes through ``lo``, which is recorded.
ADDRESSES = {"a": "10.77.0.1", "b": "10.77.0.2"}
#: No client gets it by chance: one that connects to itself would hold it.
PORT = 20200
SECRET = b"domwarden-secret-0123456789"
ON_DISK = b"words-on-disk-0123456789"
ETH_P_ALL = 0x0003


class Recorder:
    """Hears every frame of an interface, and keeps what matters: how much, and the secret."""

    def __init__(self) -> None:
        self.bytes = 0
        self.seen: set[bytes] = set()
        self._ended = False

    @contextlib.contextmanager
    def recording(self) -> Iterator[Recorder]:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as wire:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 2**20)
            wire.bind(("lo", ETH_P_ALL))
            wire.settimeout(0.2)
            thread = threading.Thread(target=self._record, args=(wire,), name="recorder")
            thread.start()
            try:
                yield self
            finally:
                self._ended = True
                thread.join()

    def _record(self, wire: socket.socket) -> None:
        while not self._ended:
            try:
                frame = wire.recv(2**17)
            except TimeoutError:
                continue
            self.bytes += len(frame)
            # They lie in several pages of the guest: one frame holds each of them whole.
            self.seen |= {secret for secret in (SECRET, ON_DISK) if secret in frame}


def _write(root: Path, streams: dict[str, str], *, foreign: str = "") -> None:
    """Write two hosts that listen on the network, and a guest that knows the secret.

    One of them may show what another authority signed.
    """
    if not (root / "pki").exists():
        _pki(root / "pki", "a", "b", "c")
        _pki(root / "foreign", "a", "b")
    for host in PEERS:
        listen: dict[str, Any] = {"listen": ADDRESSES[host], "migration_ports": [PORT, PORT]}
        (root / f"disks-{host}").mkdir(exist_ok=True)
        blk = {"address": ADDRESSES[host], "directories": {"disks-a": f"disks-{host}"}}
        write_host(root, host, qemu={"accel": "tcg", **listen}, blk=blk)
        file = root / f"{host}.yaml"
        files = Tls.usual(host, root / ("foreign" if host == foreign else "pki"))
        text = yaml.safe_load(file.read_text()) | {
            "streams": streams[host],
            "tls": {
                "authority": str(root / "pki" / "authority.pem"),
                "certificate": str(files.certificate),
                "key": str(files.key),
            },
        }
        file.write_text(yaml.safe_dump(text))
    made = guest()
    boot = {"kernel": str(made.kernel), "cmdline": f"{made.cmdline} secret={SECRET.decode()}"}
    disk = {"driver": "blk", "source": "disks-a/web1.img", "placement": "mirror", "verify": True}
    write_domain(root, {"root": disk}, boot=boot)
    with (root / "disks-a" / "web1.img").open("wb") as image:
        image.truncate(16 * 2**20)


def _pki(directory: Path, *hosts: str) -> Directory:
    pki = Directory(directory)
    now = datetime.datetime.now(datetime.UTC)
    pki.create_authority(now)
    for host in hosts:
        pki.create_host(host, now, 730)
    return pki


def _network() -> None:
    ip("link", "set", "lo", "up")
    for address in ADDRESSES.values():
        ip("address", "add", f"{address}/32", "dev", "lo")


@contextlib.asynccontextmanager
async def _strangers(root: Path) -> AsyncIterator[list[str]]:
    """Have all kinds of strangers connect to whoever listens for the stream, again and again."""
    contexts: dict[str, ssl.SSLContext | None] = {
        "plain": None,
        "no certificate": _trusting(root / "pki" / "authority.pem"),
        "foreign": tls.context(Tls.usual("a", root / "foreign"), server=False),
        "another host": tls.context(Tls.usual("c", root / "pki"), server=False),
    }
    contexts["foreign"].verify_mode = ssl.CERT_NONE  # type: ignore[union-attr]  # it is not None
    came: list[str] = []

    async def come(kind: str, context: ssl.SSLContext | None) -> None:
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(ADDRESSES["b"], PORT)
                came.append(kind)
                with contextlib.suppress(OSError):
                    if context is not None:
                        await writer.start_tls(context, ssl_handshake_timeout=1)
                    writer.write(b"QEVM" + bytes(4096))
                    await writer.drain()
                writer.transport.abort()
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(come(*each), name=each[0]) for each in contexts.items()]
    try:
        yield came
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _trusting(authority: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.load_verify_locations(authority)
    return made


async def _moved(root: Path) -> Recorder:
    """Move the guest to ``b`` and return what could be recorded of it."""
    async with started(root) as warden:
        async with shell(root, "a") as console:
            await console.command(f"write vda 1048576 {ON_DISK.decode()}")
        with Recorder().recording() as recorder:
            moved = await warden.migrate(NAME, "b")
        assert moved.alarms == ()
        async with shell(root, "b") as console:
            assert await console.command(f"read vda 1048576 {len(ON_DISK)}") == ON_DISK.decode()
        print(f"blackout {moved.blackout_seconds}, downtime {moved.downtime_seconds}")
    assert recorder.bytes > 10 * 2**20  # the stream was there
    return recorder


def test_a_recorder_reads_nothing_of_an_encrypted_stream(tmp_path: Path) -> None:
    async def test() -> None:
        _network()
        _write(tmp_path, {"a": "tls", "b": "tls"})
        assert not (await _moved(tmp_path)).seen

    in_own_network(test, 300)


def test_a_recorder_reads_a_plain_stream_where_both_hosts_want_it(tmp_path: Path) -> None:
    """Which shows that the recorder of the other test could have seen something."""

    async def test() -> None:
        _network()
        _write(tmp_path, {"a": "plain", "b": "plain"})
        assert (await _moved(tmp_path)).seen == {SECRET, ON_DISK}

    in_own_network(test, 300)


def test_strangers_that_come_first_do_no_harm(tmp_path: Path) -> None:
    """The move goes on as if they were not there."""

    async def test() -> None:
        _network()
        _write(tmp_path, {"a": "tls", "b": "tls"})
        async with _strangers(tmp_path) as came:
            assert not (await _moved(tmp_path)).seen
        assert set(came) == {"plain", "no certificate", "foreign", "another host"}

    in_own_network(test, 300)


def _told(error: RefusedError) -> set[tuple[str, str, str]]:
    return {(refusal.code, refusal.device, refusal.host) for refusal in error.refusals}


def test_what_only_one_host_wants_plain_is_refused_before_anything_is_touched(
    tmp_path: Path,
) -> None:
    """So is a move whose destination has no certificate that serves; the guest runs on."""

    async def test() -> None:
        _network()
        _write(tmp_path, {"a": "tls", "b": "plain"})
        async with started(tmp_path) as warden:
            with pytest.raises(RefusedError) as refused:
                await warden.migrate(NAME, "b")
            assert _told(refused.value) == {
                ("plain-stream", "", "a"),
                ("plain-stream", "root", "b"),
            }
            _write(tmp_path, {"a": "tls", "b": "tls"}, foreign="b")
            with pytest.raises(RefusedError) as refused:
                await warden.migrate(NAME, "b")
            assert _told(refused.value) == {
                ("no-certificate", "", "b"),
                ("no-certificate", "root", "b"),
            }
            assert list((tmp_path / "disks-b").iterdir()) == []
            async with shell(tmp_path, "a"):
                pass

    in_own_network(test, 300)
