"""A process is known by pid and start time, and no other one is ever touched."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from domwarden.contract import EngineError
from domwarden_qemu import process
from domwarden_qemu.record import Record

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def _spawn(tmp_path: Path, *extra: str) -> Record:
    pid = process.spawn([*SLEEP, *extra], {}, tmp_path / "log")
    return Record(process.boot_id(), pid=pid, start_time=process.start_time(pid) or 0)


async def test_a_spawned_process_is_detached_and_its_end_is_seen(tmp_path: Path) -> None:
    record, nobody = _spawn(tmp_path), tmp_path / "pid"
    assert record.pid is not None
    assert process.alive(record, nobody) == record.pid
    assert os.getsid(record.pid) == record.pid
    assert not await process.ended(record, nobody, 0.01)
    assert process.send_signal(record, nobody, signal.SIGKILL)
    assert await process.ended(record, nobody, 10.0)
    assert process.alive(record, nobody) is None
    assert not process.send_signal(record, nobody, signal.SIGKILL)
    with pytest.raises(ProcessLookupError):
        os.kill(record.pid, 0)  # reaped


async def test_a_recycled_pid_is_not_signalled(tmp_path: Path) -> None:
    record = _spawn(tmp_path)
    other = Record(record.boot_id, pid=record.pid, start_time=record.start_time + 1)
    assert not process.send_signal(other, tmp_path / "pid", signal.SIGKILL)
    elsewhen = Record("another-boot", pid=record.pid, start_time=record.start_time)
    assert not process.send_signal(elsewhen, tmp_path / "pid", signal.SIGKILL)
    assert process.alive(record, tmp_path / "pid") == record.pid
    assert process.send_signal(record, tmp_path / "pid", signal.SIGKILL)
    assert await process.ended(record, tmp_path / "pid", 10.0)


async def test_a_process_whose_pid_was_never_recorded_is_found(tmp_path: Path) -> None:
    """As after a crash between the making of a process and the note of its pid."""
    pidfile = tmp_path / "web1" / "qemu" / "pid"
    own = ("-nodefaults", "-pidfile", str(pidfile), "-name", "guest=web1,debug-threads=on")
    # It is not enough to name the file: each of these is somebody else's.
    others = [
        _spawn(tmp_path, str(pidfile)),
        _spawn(tmp_path, "-pidfile", str(pidfile)),
        _spawn(tmp_path, *own[:-1], "guest=web10,debug-threads=on"),
    ]
    record = _spawn(tmp_path, *own)
    intent = Record(process.boot_id())
    for _ in range(500):  # exec lets the parent go on a moment before the arguments can be read
        if process.alive(intent, pidfile) is not None:
            break
        await asyncio.sleep(0.01)
    assert process.alive(intent, pidfile) == record.pid
    assert process.alive(intent, tmp_path / "other") is None
    assert process.send_signal(intent, pidfile, signal.SIGKILL)
    assert await process.ended(record, pidfile, 10.0)
    assert process.alive(intent, pidfile) is None
    for other in others:
        assert process.send_signal(other, pidfile, signal.SIGKILL)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="/no/such: No such file"):
        process.spawn(["/no/such"], {}, tmp_path / "log")


async def test_descriptors_arrive_under_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("hello")
    with (tmp_path / "in").open() as file:
        words = [sys.executable, "-c", "import os; print(os.read(14, 9).decode())"]
        pid = process.spawn(words, {14: file.fileno()}, tmp_path / "log")
    await asyncio.to_thread(os.waitpid, pid, 0)
    assert (tmp_path / "log").read_text() == "hello\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        ("2026-11-22T02:00:00.1Z qemu-system-x86_64: -device x: no\n", "-device x: no"),
        ("old\nqemu-system-x86_64: a reason\nqemu-system-x86_64: it fails\n",
         "a reason; it fails"),
    ],
)  # fmt: skip
def test_last_words_are_the_last_lines_without_stamps(
    tmp_path: Path, text: str, words: str
) -> None:
    log = tmp_path / "log"
    log.write_text("earlier\n" + text)
    assert process.last_words(log, len("earlier\n")) == words


def test_a_record_survives_its_file(tmp_path: Path) -> None:
    record = Record("boot", pid=7, start_time=9, migration="m", activated=False)
    record.save(tmp_path / "record.json")
    assert Record.load(tmp_path / "record.json") == record
    assert Record.load(tmp_path / "none.json") is None


def test_the_last_whole_line_of_a_record_counts(tmp_path: Path) -> None:
    """What a writer did not get to its end was never relied on, nor does it spoil the next line."""
    path = tmp_path / "record.json"
    first, second, third = (Record("boot", pid=pid) for pid in (1, 2, 3))
    path.write_text(json.dumps(dataclasses.asdict(first)))  # by a version that replaced the file
    assert Record.load(path) == first
    second.save(path)
    with path.open("a") as file:
        file.write('\n{"version": 1, "boot')
    assert Record.load(path) == second
    third.save(path)
    assert Record.load(path) == third


def test_a_record_of_a_newer_version_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text('{"version": 2, "boot_id": "b", "pid": 3, "new": 1}')
    assert Record.load(tmp_path / "record.json") == Record("b", pid=3)
