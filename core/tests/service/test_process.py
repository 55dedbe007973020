"""The service as a process: it may be killed at any time, and nothing of its host is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import in_process
import pytest

from .serving import DOMAIN, SLOW, Client

SECONDS = 60.0


class Process:
    """``domwarden serve`` of one host; its systemd is this test."""

    def __init__(self, directory: Path, host: str = "a", **environment: str) -> None:
        self.directory = directory
        self.client = Client(directory / host / "domwarden.sock")
        address = directory / f"{host}.notify"
        address.unlink(missing_ok=True)
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.systemd.bind(str(address))
        self.systemd.settimeout(SECONDS)
        with (directory / f"{host}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "domwarden", "serve", "-H", str(directory / f"{host}.yaml")],
                env={**os.environ, "NOTIFY_SOCKET": str(address), **environment},
                stdout=log,
                stderr=log,
            )
        assert self.heard() == "READY=1"

    def heard(self) -> str:
        """Wait for what systemd is told next."""
        return self.systemd.recv(1000).decode()

    def end(self, number: int) -> int:
        """End it by a signal and return its status."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)

    def close(self) -> None:
        self.systemd.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(SECONDS)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """Two hosts whose domains live in processes of their own."""
    for host, peer in ("ab", "ba"):
        text = f"host: {host}\nstate: {host}\npeers: {{{peer}: {{config: {peer}.yaml}}}}\n"
        (tmp_path / f"{host}.yaml").write_text(text)
    yield tmp_path
    for host in "ab":
        in_process.domwarden("stop", "web1", "-H", f"{host}.yaml", cwd=tmp_path)


@contextlib.asynccontextmanager
async def service(directory: Path, host: str = "a", **environment: str) -> AsyncIterator[Process]:
    made = await asyncio.to_thread(lambda: Process(directory, host, **environment))
    try:
        yield made
    finally:
        made.close()


async def start(running: Process, more: str = "") -> None:
    path = running.directory / "web1.yaml"
    path.write_text(DOMAIN.format(name="web1", more=more))
    reply = await running.client.post("/v1/domains", {"path": str(path)})
    assert reply.status == 201, reply


async def moving(running: Process, path: str) -> Any:
    """Wait until a move has begun its pre-copy."""
    async for _, data in running.client.events(f"{path}/events"):
        if (data.get("what"), data.get("step")) == ("step-begun", "precopy"):
            return data
    raise AssertionError("it ended")


def parent(pid: int) -> int:
    """Return a process's parent (proc_pid_stat(5))."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


#: Slow enough to be killed in, quick enough to be waited for.
MOVE = "migration: {bandwidth: 512KiB/s, timeout: 10min}\n"


@pytest.mark.time_limit(180)
async def test_a_service_killed_in_the_middle_of_a_migration_finds_it_again(
    directory: Path,
) -> None:
    """Its driver goes on; the next service knows the move by its name, and how it ended."""
    async with service(directory) as first:
        await start(first, MOVE)
        begun = await first.client.post("/v1/migrations", {"domain": "web1", "to": "b"})
        path = begun.headers["location"]
        await moving(first, path)
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
    async with service(directory) as second:
        found = (await second.client.get(path)).data
        assert (found["id"], found["movement"]) == (begun.data["id"], "migrate")
        assert found["state"] in {"running", "succeeded"}
        end = await second.client.end_of(found["id"])
        assert (end["state"], end["outcome"], end["peer"]) == ("succeeded", "arrived", "b")
        (status,) = (await second.client.get("/v1/domains")).data
        assert (status["state"], status["moved_to"]) == ("absent", "b")
        assert second.end(signal.SIGTERM) == 0
    async with service(directory, "b") as there:
        assert (await there.client.get("/v1/domains/web1")).data["state"] == "running"


@pytest.mark.live
@pytest.mark.time_limit(180)
async def test_a_move_of_an_earlier_service_can_be_cancelled(directory: Path) -> None:
    """Through the process that drives it, wherever that came from."""
    async with service(directory) as first:
        await start(first, SLOW)
        begun = await first.client.post("/v1/migrations", {"domain": "web1", "to": "b"})
        path = begun.headers["location"]
        await moving(first, path)
        first.end(signal.SIGKILL)
    async with service(directory) as second:
        conflict = await second.client.post("/v1/domains/web1/stop", {})
        assert conflict.code == "conflict"
        assert "domwarden.migration.driver" in conflict.data["holder"]
        cancelled = await second.client.ask("DELETE", path)
        assert cancelled.status == 202
        end = await second.client.end_of(begun.data["id"])
        assert (end["state"], end["outcome"]) == ("failed", "resumed")
        assert (await second.client.get("/v1/domains/web1")).data["state"] == "running"


@pytest.mark.live
@pytest.mark.time_limit(180)
async def test_what_service_driver_and_watcher_left_is_settled_by_the_next(
    directory: Path,
) -> None:
    """All three killed: nobody is left but the next service, and the guest runs on."""
    async with service(directory) as first:
        await start(first, SLOW)
        begun = await first.client.post("/v1/migrations", {"domain": "web1", "to": "b"})
        path = begun.headers["location"]
        await moving(first, path)
        holder = (await first.client.get(path)).data["holder"]
        first.end(signal.SIGKILL)
    assert "domwarden.migration.driver" in holder
    worker = int(holder.split()[1])
    watcher = parent(worker)
    os.kill(watcher, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    async with service(directory) as second:
        end = await second.client.end_of(begun.data["id"])
        assert (end["state"], end["outcome"]) == ("failed", "resumed")
        assert (await second.client.get("/v1/domains/web1")).data["state"] == "running"


async def test_the_end_of_the_service_leaves_its_domains_running(directory: Path) -> None:
    """TERM says so to systemd, ends at once, and the next one answers for the same domains."""
    async with service(directory) as first:
        await start(first)
        assert first.end(signal.SIGTERM) == 0
        assert first.heard() == "STOPPING=1"
    async with service(directory) as second:
        (status,) = (await second.client.get("/v1/domains")).data
        assert (status["name"], status["state"]) == ("web1", "running")


async def test_systemd_hears_that_it_lives(directory: Path) -> None:
    """As often as WatchdogSec wants it; another process's variables are not taken for its own."""
    async with service(directory, WATCHDOG_USEC="20000") as running:
        assert [running.heard() for _ in range(3)] == ["WATCHDOG=1"] * 3
        running.end(signal.SIGTERM)
    async with service(directory, WATCHDOG_USEC="20000", WATCHDOG_PID="1") as running:
        await running.client.get("/v1/health")
        running.end(signal.SIGTERM)
        assert running.heard() == "STOPPING=1"


def drivers(pid: int) -> list[int]:
    """Return a process's children that could drive a move (proc_pid_task(5))."""
    found = []
    lists = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/children")]
    for child in map(int, " ".join(lists).split()):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if b"domwarden.migration.driver" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


async def test_one_driver_waits_for_the_next_move(directory: Path) -> None:
    """From the start on, again after moves that ended together, and no longer than the service."""
    async with service(directory) as running:
        (first,) = drivers(running.process.pid)
        for name in ("web1", "web2"):
            path = directory / f"{name}.yaml"
            path.write_text(DOMAIN.format(name=name, more=""))
            await running.client.post("/v1/domains", {"path": str(path)})
        begun = await running.client.post("/v1/evacuations", {"parallel_per_link": 2})
        events = running.client.events(f"{begun.headers['location']}/events")
        end = [data async for _, data in events][-1]
        assert [move["destination"] for move in end["result"]["moved"]] == ["b", "b"]
        async with asyncio.timeout(SECONDS):
            while not (waiting := drivers(running.process.pid)):  # noqa: ASYNC110 - it starts soon
                await asyncio.sleep(0.05)
        (second,) = waiting
        assert second != first
        assert running.end(signal.SIGTERM) == 0
        with pytest.raises(ProcessLookupError):
            os.kill(second, 0)
    await asyncio.to_thread(in_process.domwarden, "stop", "web2", "-H", str(directory / "b.yaml"))


async def test_a_host_has_one_service(directory: Path) -> None:
    """The second one is told who the first is, and harms neither it nor its socket."""
    async with service(directory) as running:
        second = await asyncio.to_thread(
            in_process.domwarden, "serve", "-H", str(directory / "a.yaml")
        )
        assert second.returncode == 1
        assert f"process {running.process.pid} (" in second.stderr
        assert "serves this host already" in second.stderr
        assert (await running.client.get("/v1/health")).status == 200
        mode = (directory / "a/domwarden.sock").stat().st_mode
        assert mode & 0o777 == 0o660
