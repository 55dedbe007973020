"""A real QEMU lives detached, is found again, and is ended."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from domwarden.contract import EngineError, QemuArgument, RunState

from .lab import NAME, FixedRoom, Lab, booted, definition, lab, until

pytestmark = [pytest.mark.live, pytest.mark.time_limit(180)]


async def test_a_domain_is_started_paused_resumed_reset_and_stopped(tmp_path: Path) -> None:
    async with booted(tmp_path) as (made, _live):
        engine = made.engine("a")
        assert await engine.domains() == [NAME]
        assert await made.state("a") == RunState.RUNNING
        await engine.pause(NAME)
        assert await made.state("a") == RunState.PAUSED
        await engine.resume(NAME)
        await made.answers("a")
        await engine.reset(NAME)
        await made.answers("a")
        await engine.stop(NAME)
        assert await made.state("a") == RunState.ABSENT
        assert await engine.domains() == []
        await engine.stop(NAME)  # idempotent


async def test_sockets_are_for_their_owner_only(tmp_path: Path) -> None:
    async with lab(tmp_path) as made:
        await _held(made)
        folder = tmp_path / "a" / "domains" / NAME
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        sockets = [path for path in (folder / "qemu").iterdir() if path.is_socket()]
        assert {path.name for path in sockets} == {"control", "events", "move", "console"}
        assert {stat.S_IMODE(path.stat().st_mode) for path in sockets} == {0o600}


async def _held(made: Lab) -> None:
    engine = made.engine("a")
    live = await engine.realize(definition(), made.room)
    await engine.start(live, made.room, held=True)


async def test_a_held_domain_waits_before_its_first_instruction(tmp_path: Path) -> None:
    async with lab(tmp_path) as made:
        await _held(made)
        assert await made.state("a") == RunState.INCOMING
        await made.engine("a").resume(NAME)
        assert await made.state("a") == RunState.RUNNING


_STARTER = """
import asyncio, sys
from pathlib import Path
from domwarden.contract import Definition, Host
from domwarden_qemu import QemuEngine
class Room:
    def ask(self, hook, **arguments): return {}
async def main():
    engine = QemuEngine(Host("a", Path(sys.argv[1]), {"qemu": {"accel": "tcg"}}))
    wanted = Definition(sys.argv[2], "0e4b4b4f-4f0e-4b6e-9a0f-9f1c1a6f3c11", "qemu", 16 * 2**20)
    await engine.start(await engine.realize(wanted, Room()), Room())
asyncio.run(main())
"""


async def test_a_domain_survives_the_process_that_started_it(tmp_path: Path) -> None:
    async with lab(tmp_path) as made:
        definition()  # skips where QEMU is absent
        starter = [sys.executable, "-c", _STARTER, str(tmp_path / "a"), NAME]
        await asyncio.to_thread(subprocess.run, starter, check=True, timeout=60)
        assert await made.state("a") == RunState.RUNNING
        pid = made.pid("a")
        assert os.getsid(pid) == pid  # a session of its own: no terminal's hang-up reaches it
        await made.engine("a").stop(NAME)
        assert await made.state("a") == RunState.ABSENT


async def test_a_killed_process_leaves_remains_that_stop_removes(tmp_path: Path) -> None:
    async with lab(tmp_path) as made:
        await _held(made)
        made.signal("a", signal.SIGKILL)
        await until(lambda: _is(made, RunState.ENDED))
        await made.engine("a").stop(NAME)
        assert await made.state("a") == RunState.ABSENT


async def _is(made: Lab, state: RunState) -> bool:
    return await made.state("a") == state


async def test_a_refused_start_says_what_qemu_said(tmp_path: Path) -> None:
    definition()
    wrong = QemuArgument("device", {"driver": "isa-serial", "id": "x", "chardev": "no-such"})
    async with lab(tmp_path) as made:
        made.room = FixedRoom({"x": [wrong]})
        engine = made.engine("a")
        live = await engine.realize(definition(), made.room)
        with pytest.raises(EngineError, match=r"QEMU ended at once: .*no-such"):
            await engine.start(live, made.room)
        assert await made.state("a") == RunState.ABSENT


async def test_a_second_start_leaves_the_first_alone(tmp_path: Path) -> None:
    async with lab(tmp_path) as made:
        await _held(made)
        with pytest.raises(EngineError, match="already here"):
            await _held(made)
        assert await made.state("a") == RunState.INCOMING


async def test_stop_asks_the_guest_first_and_does_not_wait_for_one_that_ignores_it(
    tmp_path: Path,
) -> None:
    async with lab(tmp_path) as made:
        await _held(made)
        await made.engine("a").resume(NAME)
        await made.engine("a").stop(NAME, graceful_seconds=0.5)
        assert await made.state("a") == RunState.ABSENT


async def test_a_stopped_process_is_still_ended(tmp_path: Path) -> None:
    """SIGSTOP silences QMP and SIGTERM; SIGKILL and the pid still end it."""
    async with lab(tmp_path) as made:
        await _held(made)
        made.signal("a", signal.SIGSTOP)
        assert await made.state("a") == RunState.UNKNOWN
        await made.engine("a").stop(NAME)
        assert await made.state("a") == RunState.ABSENT
