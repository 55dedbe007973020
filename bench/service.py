"""The service: from its start to the first answer, and how fast it tells of 1,000 domains."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from domwarden.config import load_domain, load_host
from domwarden.warden import Warden

from .report import Report
from .sampling import interleaved

DOMAINS = 1000
REQUESTS = 200
START_SECONDS = 60.0
#: So many domains are started at once.
TOGETHER = 8

FILE = (
    "domain: web{number}\nmemory: 2MiB\nboot: {{program: counter, period: 60s, resident: 4KiB}}\n"
)

#: A server that does nothing but answer, with the library that ours uses.
BARE = """
import sys
from aiohttp import web

async def answer(request):
    return web.json_response({"status": "ok"})

app = web.Application()
app.router.add_get("/v1/health", answer)
web.run_app(app, path=sys.argv[1], print=None)
"""


def run(*, quick: bool) -> Report:
    """Measure the service beside a bare aiohttp server."""
    count = 10 if quick else DOMAINS
    requests = 5 if quick else REQUESTS
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "host.yaml").write_text("host: a\nstate: state\nsocket: ours.sock\n")
        ours = [sys.executable, "-m", "domwarden", "serve", "-H", str(directory / "host.yaml")]
        bare = [sys.executable, "-c", BARE, str(directory / "bare.sock")]
        starts = interleaved(
            {
                "ours": functools.partial(_start_seconds, ours, directory / "ours.sock"),
                "bare": functools.partial(_start_seconds, bare, directory / "bare.sock"),
            },
            2 if quick else 20,
        )
        asyncio.run(_start_domains(directory, count))
        try:
            with running(ours, directory / "ours.sock"), running(bare, directory / "bare.sock"):
                one = f"/v1/domains/web{count // 2}"
                rates = interleaved(
                    {
                        "one": lambda: _rate(directory / "ours.sock", one, requests),
                        "all": lambda: _rate(directory / "ours.sock", "/v1/domains", 2),
                        "health": lambda: _rate(directory / "ours.sock", "/v1/health", requests),
                        "bare": lambda: _rate(directory / "bare.sock", "/v1/health", requests),
                    },
                    2 if quick else 10,
                )
        finally:
            asyncio.run(_stop_domains(directory, count))
    report = Report("service", f"domwarden serve with {count} running domains, one client")
    peer = ("bare aiohttp", starts["bare"])
    report.add("start to first answer", "ms", starts["ours"], scale=1e3, peer=peer)
    report.add("bare aiohttp, the same", "ms", starts["bare"], scale=1e3)
    for what, shown in (
        ("one", "status of one domain"),
        ("all", f"status of all {count}"),
        ("health", "health"),
    ):
        peer = ("bare aiohttp", rates["bare"])
        report.add(f"{shown}, a request", "ms", rates[what], scale=1e3, peer=peer)
    report.add("bare aiohttp, a request", "ms", rates["bare"], scale=1e3)
    single = report.figures[2].spread.median
    report.notes.append(f"{1e3 / single:.0f} status requests a second, one after the other")
    return report


def _start_seconds(command: list[str], path: Path) -> float:
    begun = time.monotonic()
    with running(command, path):
        return time.monotonic() - begun


@contextlib.contextmanager
def running(command: list[str], path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until it answers, and then as long as the context lasts."""
    path.unlink(missing_ok=True)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(path):
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"{' '.join(command[:4])} does not answer")
            time.sleep(0.002)
        yield process
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _answers(path: Path) -> bool:
    try:
        return _get(path, "/v1/health") > 0
    except OSError:
        return False


def _get(path: Path, what: str) -> int:
    """Ask once; returns the size of a good answer, raises RuntimeError for another."""
    with socket.socket(socket.AF_UNIX) as made:
        made.settimeout(START_SECONDS)
        made.connect(str(path))
        made.sendall(f"GET {what} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        data = bytearray()
        while part := made.recv(1 << 20):
            data += part
    if not data.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"{what}: {bytes(data[:200])!r}")
    return len(data)


def _rate(path: Path, what: str, requests: int) -> float:
    begun = time.monotonic()
    for _ in range(requests):
        _get(path, what)
    return (time.monotonic() - begun) / requests


async def _start_domains(directory: Path, count: int) -> None:
    async with Warden(load_host(directory / "host.yaml")) as warden:

        async def start(number: int) -> None:
            path = directory / f"web{number}.yaml"
            path.write_text(FILE.format(number=number))
            await warden.start(load_domain(path))

        for first in range(0, count, TOGETHER):
            await asyncio.gather(*map(start, range(first, min(first + TOGETHER, count))))


async def _stop_domains(directory: Path, count: int) -> None:
    async with Warden(load_host(directory / "host.yaml")) as warden:
        for first in range(0, count, TOGETHER):
            names = [f"web{number}" for number in range(first, min(first + TOGETHER, count))]
            await asyncio.gather(*map(warden.stop, names))
