"""Making one QEMU process, detached, and seeing it answer."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from domwarden.contract import EngineError, in_scope

from . import process
from .arguments import CONSOLE_FD, CONTROL_FD, EVENTS_FD, MOVE_FD
from .files import Files
from .monitor import Monitor
from .record import Record

#: From exec to the QMP greeting; a 7.2 needs 50 ms, a loaded machine more.
GREETING_TIMEOUT_SECONDS = 30.0
KILL_TIMEOUT_SECONDS = 15.0
LOG_LIMIT_BYTES = 4 * 1024**2


async def launch(
    files: Files,
    command: Sequence[str],
    monitor: Monitor,
    record: Record,
    inherited: Mapping[int, int] | None = None,
) -> None:
    """Start QEMU and return once it answers; raises EngineError with its last line otherwise.

    ``inherited`` are further descriptors, by the child's numbers.  Nothing is left after a failure.
    """
    record = await _spawned(files, command, record, inherited or {})
    try:
        # Whoever starts a QEMU has something to tell it.
        async with monitor.session(GREETING_TIMEOUT_SECONDS, linger=True):
            return
    except EngineError as error:
        died = await process.ended(record, files.pidfile, 2.0)
        words = process.last_words(files.log, record.log_offset)
        await kill(files, record)
        files.remove()
        if died:
            message = f"{files.name}: QEMU ended at once: {words or 'it said nothing'}"
            raise EngineError(message, command=command[0], hint=f"see {files.log}") from error
        raise
    except BaseException:
        # Cancelled: half a start is no start.
        await asyncio.shield(kill(files, record))
        files.remove()
        raise


async def _spawned(
    files: Files, command: Sequence[str], record: Record, inherited: Mapping[int, int]
) -> Record:
    """Make the process; cancelled, end what was made before anybody hears of that."""
    # Not a task, which the end of its loop would cancel.
    loop = asyncio.get_running_loop()
    spawning = loop.run_in_executor(None, _spawn, files, command, record, inherited)
    try:
        return await asyncio.shield(spawning)
    except asyncio.CancelledError:
        # A thread cannot be interrupted: without this wait it would make its QEMU later, when
        # everybody has seen that there is none. Nor could its own process end before it, so the
        # wait has no limit, and being cancelled again shortens nothing.
        while not spawning.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({spawning})
        if spawning.exception() is None:
            await asyncio.shield(kill(files, spawning.result()))
            files.remove()
        raise


async def kill(files: Files, record: Record) -> None:
    """Kill the process and see it gone; raises EngineError when it does not go."""
    if not process.send_signal(record, files.pidfile, signal.SIGKILL):
        return
    if not await process.ended(record, files.pidfile, KILL_TIMEOUT_SECONDS):
        raise EngineError(
            f"{files.name}: QEMU (pid {record.pid}) outlives SIGKILL",
            hint="its host is stuck in input/output; look at the storage",
        )


def _spawn(
    files: Files, command: Sequence[str], record: Record, inherited: Mapping[int, int]
) -> Record:
    known = Record.load(files.record)
    if known is not None:
        if (pid := process.alive(known, files.pidfile)) is not None:
            raise EngineError(f"{files.name}: a copy is already here (pid {pid})")
        files.remove()  # remains of a process that died
    files.create()
    for log in (files.log, files.console_log):
        _rotate(log)
    offset = files.log.stat().st_size
    sockets: dict[int, socket.socket] = {}
    try:
        for number, path in (
            (CONTROL_FD, files.control),
            (EVENTS_FD, files.events),
            (MOVE_FD, files.move),
            (CONSOLE_FD, files.console),
        ):
            sockets[number] = _listener(path)
        descriptors = {number: sock.fileno() for number, sock in sockets.items()}
        record = dataclasses.replace(record, boot_id=process.boot_id(), log_offset=offset)
        try:
            record.save(files.record)
            scoped = in_scope(command, "QEMU")
            pid = process.spawn(scoped, {**descriptors, **inherited}, files.log)
        except (EngineError, OSError):
            files.remove()
            raise
        started = process.start_time(pid) or 0
        record = dataclasses.replace(record, pid=pid, start_time=started)
        record.save(files.record)
        return record
    finally:
        # QEMU holds the listening ends now: when it dies, so do they, and nobody waits in vain.
        for sock in sockets.values():
            sock.close()


def _listener(path: Path) -> socket.socket:
    """Bind a socket that only its owner may open, before anybody can connect to it."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        path.chmod(0o600)
        sock.listen(8)
    except OSError as error:
        sock.close()
        raise EngineError(f"{path}: {error.strerror}") from error
    return sock


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.old"))
    log.touch(mode=0o600)
