"""Domains in a process of their own: found again, rebuilt in another process, lost with it."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from domwarden.contract import (
    EngineError,
    EventKind,
    MigrationSettings,
    OutcomeUnknownError,
    RunState,
)
from domwarden.embedded import process_backend

from .helpers import ToyRoom
from .processes import ended, engine_at, pid_of, start, type_line


def wait_until_gone(path):
    deadline = time.monotonic() + 20
    while path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_guest_is_rebuilt_from_the_streams_bytes_in_another_process(tmp_path):
    a, b = engine_at(tmp_path, "a"), engine_at(tmp_path, "b")
    async with ended(a, b):
        live = await start(a)
        await asyncio.sleep(0.3)
        (before,) = await type_line(a, "count")
        incoming, outgoing = b.incoming("web1", "m1"), a.outgoing(live, "m1")
        address = await incoming.listen(live, ToyRoom(live, b.host))
        await outgoing.precopy(address, lambda progress: None)
        await outgoing.suspend()
        await outgoing.complete(lambda progress: None)
        await incoming.received()
        pids = pid_of(a), pid_of(b)
        assert len(set(pids)) == 2
        os.kill(pids[0], signal.SIGKILL)  # nothing is left but the bytes
        await incoming.activate(run=True)
        await asyncio.sleep(0.3)
        (after,) = await type_line(b, "count")
        assert int(after.split()[1]) > int(before.split()[1]) > 0
        assert (await a.observe("web1")).state is RunState.ENDED


async def test_another_shell_sees_the_same_domain(tmp_path):
    a = engine_at(tmp_path, "a")
    async with ended(a):
        await start(a)
        code = (
            "import asyncio, pathlib, sys\n"
            "from domwarden.contract import Host\n"
            "from domwarden.embedded import EmbeddedEngine\n"
            "engine = EmbeddedEngine(Host('a', pathlib.Path(sys.argv[1])))\n"
            "print(asyncio.run(engine.observe('web1')).state)\n"
        )
        seen = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", code, tmp_path / "a"],
            capture_output=True,
            check=True,
            timeout=30,
        )
        assert seen.stdout == b"running\n"


async def test_starts_at_once_share_one_process(tmp_path):
    engines = [engine_at(tmp_path, "a") for _ in range(3)]
    async with ended(*engines):
        await asyncio.gather(*(start(engine, name=f"web{n}") for n, engine in enumerate(engines)))
        assert sorted(await engines[0].domains()) == ["web0", "web1", "web2"]
        notes = (tmp_path / "a").glob("domains/*/embedded.json")
        assert len({json.loads(note.read_text())["pid"] for note in notes}) == 1
        socket = tmp_path / "a" / "embedded" / "control.sock"
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600


async def test_domain_of_a_killed_process_has_ended_and_can_be_stopped(tmp_path):
    a = engine_at(tmp_path, "a")
    async with ended(a):
        await start(a)
        events = a.events("web1")
        first = asyncio.create_task(anext(events))
        await asyncio.sleep(0.2)
        os.kill(pid_of(a), signal.SIGKILL)
        assert (await first).kind is EventKind.GONE
        await events.aclose()
        assert (await a.observe("web1")).state is RunState.ENDED
        assert list(await a.domains()) == ["web1"]
        with pytest.raises(EngineError):
            await a.pause("web1")
        # another domain's process knows of it too
        await start(a, name="other")
        assert (await a.observe("web1")).state is RunState.ENDED
        await a.stop("web1")
        assert (await a.observe("web1")).state is RunState.ABSENT
        await start(a)
        assert (await a.observe("web1")).state is RunState.RUNNING


async def test_process_ends_itself_without_domains(tmp_path):
    a = engine_at(tmp_path, "a", idle=0.2)
    async with ended(a):
        await start(a)
        pid = pid_of(a)
        await a.stop("web1")
        await asyncio.to_thread(wait_until_gone, tmp_path / "a" / "embedded" / "control.sock")
        assert (await a.observe("web1")).state is RunState.ABSENT
        await start(a)
        assert pid_of(a) != pid


async def test_stopped_process_leaves_the_outcome_unknown(tmp_path, monkeypatch):
    a = engine_at(tmp_path, "a")
    async with ended(a):
        await start(a)
        monkeypatch.setattr(process_backend, "GREETING_SECONDS", 0.2)
        os.kill(pid_of(a), signal.SIGSTOP)
        assert (await a.observe("web1")).state is RunState.UNKNOWN
        with pytest.raises(OutcomeUnknownError):
            await a.pause("web1")


async def test_destination_process_that_hangs_leaves_the_source_to_abort(tmp_path):
    a, b = engine_at(tmp_path, "a"), engine_at(tmp_path, "b")
    async with ended(a, b):
        live = await start(a, migration=MigrationSettings(timeout_seconds=1.0))
        outgoing = a.outgoing(live, "m1")
        address = await b.incoming("web1", "m1").listen(live, ToyRoom(live, b.host))
        await outgoing.precopy(address, lambda progress: None)
        await outgoing.suspend()
        os.kill(pid_of(b), signal.SIGSTOP)
        with pytest.raises(OutcomeUnknownError):
            await outgoing.complete(lambda progress: None)
        assert (await a.observe("web1")).state is RunState.SUSPENDED
        os.kill(pid_of(b), signal.SIGKILL)  # seen dead before the source runs again
        await outgoing.abort(resume=True)
        assert await type_line(a, "ping") == ["pong"]
        assert (await b.observe("web1")).state is RunState.ENDED


async def test_socket_path_may_be_longer_than_unix_allows(tmp_path):
    a = engine_at(tmp_path / ("x" * 100), "a")
    async with ended(a):
        await start(a)
        assert (await a.observe("web1")).state is RunState.RUNNING
