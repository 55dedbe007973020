"""Emptying a host of embedded domains, beside the same bytes sent bare over as many streams."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from domwarden.config import HostFile, Peer
from domwarden.contract import Definition, Engine, Host, MigrationSettings
from domwarden.embedded import EmbeddedEngine, Hypervisor
from domwarden.embedded.memory import PAGE_BYTES
from domwarden.migration import Ports
from domwarden.plan import Limits
from domwarden.warden import Evacuator, Warden

from .report import Goal, Report
from .sampling import turns

DOMAINS = 200
ROUNDS = 2
MIB = 2**20
#: Memory of the domains, in turn; each one's image fills all but a few pages of it.
SIZES_MIB = (2, 3, 4, 5, 6)
#: As many moves share the link at once, each with its part of it.
STREAMS = 16
STREAM_BYTES_PER_SECOND = MIB
GOAL = 1.15
#: A debt of time this large is paid to the bandwidth limit, as the embedded engine does.
PAY_SECONDS = 0.002
PART_BYTES = 64 * 1024


def run(*, quick: bool) -> Report:
    """Measure evacuations to and fro, and the bare streams, in turn."""
    count = 6 if quick else DOMAINS
    with _folder() as root:
        ours, bare, bounds = asyncio.run(_measure(root, count, 1 if quick else ROUNDS))
    link = STREAMS * STREAM_BYTES_PER_SECOND / MIB
    title = f"{count} embedded domains leave a host over {link:g} MiB/s"
    report = Report("evacuate", title)
    figure = report.add("evacuation, all domains", "s", ours, peer=("bare streams", bare))
    report.add("the same bytes, bare streams", "s", bare)
    report.add("the bandwidth's lower bound", "s", bounds)
    found = figure.spread.median / sorted(bounds)[len(bounds) // 2]
    report.goals.append(Goal("evacuation, to the bandwidth's lower bound", "times", found, GOAL))
    report.notes.append(
        f"{STREAMS} moves at once, {STREAM_BYTES_PER_SECOND / MIB:g} MiB/s each, largest first;"
        " each journal synced at every commit"
    )
    return report


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Make a folder on a disk, whose syncs cost what they cost."""
    root = Path(tempfile.mkdtemp(prefix="dwb-", dir="/var/tmp"))
    try:
        yield root
    finally:
        shutil.rmtree(root)


class Place:
    """Two hosts in this process, whose hypervisors outlive their wardens."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._hypervisors = {name: Hypervisor() for name in "ab"}

    def warden(self, name: str) -> Warden:
        """Return a new warden of a host."""
        ports = Ports(engine=self._engine, host_file=lambda path: self._host_file(path.name))
        return Warden(self._host_file(name), in_process=True, ports=ports)

    def payload_bytes(self, name: str, domains: Sequence[str]) -> list[int]:
        """Return how many bytes of memory each domain has that must be sent."""
        host = Host(name, self._root / name)
        copies = [self._hypervisors[name].copy(host, domain) for domain in domains]
        return [len(copy.machine.memory.used_pages()) * PAGE_BYTES for copy in copies]

    def close(self) -> None:
        """End every domain."""
        for hypervisor in self._hypervisors.values():
            hypervisor.close()

    def _host_file(self, name: str) -> HostFile:
        other = {"a": "b", "b": "a"}[name]
        return HostFile(Host(name, self._root / name), {other: Peer(other, Path(other))})

    def _engine(self, _name: str, host: Host) -> Engine:
        return EmbeddedEngine(host, self._hypervisors[host.name])


async def _measure(
    root: Path, count: int, rounds: int
) -> tuple[list[float], list[float], list[float]]:
    place = Place(root)
    names = [f"web{number:03}" for number in range(count)]
    try:
        async with place.warden("a") as warden:
            for number, name in enumerate(names):
                await warden.start(_definition(name, SIZES_MIB[number % len(SIZES_MIB)]))
        samples: dict[str, list[float]] = {"ours": [], "bare": []}
        bounds = []
        source = "a"
        for order in turns(list(samples), rounds):
            payloads = place.payload_bytes(source, names)
            bounds.append(sum(payloads) / (STREAMS * STREAM_BYTES_PER_SECOND))
            for contender in order:
                if contender == "bare":
                    samples["bare"].append(await _bare(payloads))
                else:
                    samples["ours"].append(await _evacuate(place, source, count))
                    source = {"a": "b", "b": "a"}[source]
        return samples["ours"], samples["bare"], bounds
    finally:
        place.close()


def _definition(name: str, memory_mib: int) -> Definition:
    return Definition(
        name=name,
        uuid=f"00000000-0000-4000-8000-{int(name[3:]):012}",
        engine="embedded",
        memory_bytes=memory_mib * MIB,
        boot={"resident": memory_mib * MIB - MIB // 2},
        migration=MigrationSettings(bandwidth_bytes_per_second=STREAM_BYTES_PER_SECOND),
    )


async def _evacuate(place: Place, source: str, count: int) -> float:
    """Empty a host; returns the seconds from the verb to the last domain closed at its source."""
    async with place.warden(source) as warden:
        begun = time.monotonic()
        done = await Evacuator(warden, limits=Limits(STREAMS, STREAMS)).run()
        seconds = time.monotonic() - begun
    if len(done.moved) != count or done.stays:
        raise RuntimeError(f"{len(done.moved)} of {count} moved: {done.stays}")
    return seconds


async def _bare(payloads: Sequence[int]) -> float:
    """Send as many bytes for each domain by the same number of streams, largest first."""
    left = sorted(payloads)
    server = await asyncio.start_server(_swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def send() -> None:
        while left:
            await _send(port, left.pop())

    async with server:
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(STREAMS):
                group.create_task(send(), name=f"bench/stream/{number}")
        return time.monotonic() - begun


async def _send(port: int, size_bytes: int) -> None:
    """Send one domain's bytes at a stream's pace, and see them answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    part, debt_seconds = bytes(PART_BYTES), 0.0
    for start in range(0, size_bytes, PART_BYTES):
        writer.write(part[: size_bytes - start])
        await writer.drain()
        debt_seconds += min(PART_BYTES, size_bytes - start) / STREAM_BYTES_PER_SECOND
        if debt_seconds > PAY_SECONDS:
            begun = time.monotonic()
            await asyncio.sleep(debt_seconds)
            debt_seconds -= time.monotonic() - begun
    writer.write_eof()
    await reader.read()
    writer.close()


async def _swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(2**20):
        pass
    writer.close()
