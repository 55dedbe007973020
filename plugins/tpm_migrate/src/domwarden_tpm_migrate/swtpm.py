"""One swtpm process for a domain: started detached, found again, ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import signal
import time
from pathlib import Path

from domwarden.contract import PermanentError, in_scope
from domwarden_tpm_migrate.keys import mode_of
from domwarden_tpm_migrate.places import Places

PROGRAM = "swtpm"
_START_SECONDS = 10.0
_END_SECONDS = 5.0
_POLL_SECONDS = 0.02
#: /proc/thread-self/net/unix: the socket listens (``__SO_ACCEPTCON``).
_LISTENING = 0x10000


def installed() -> bool:
    """Say whether swtpm is on this host."""
    return shutil.which(PROGRAM) is not None


def command_line(places: Places, key_file: str) -> list[str]:
    """Return swtpm's arguments; secrets stay in their file.

    The state lies in the working directory, so that the directory can be renamed while swtpm runs.
    It ends with its QEMU (``--terminate``).
    """
    arguments = [PROGRAM, "socket", "--tpm2", "--tpmstate", "dir=.,mode=0600", "--terminate"]
    arguments += ["--ctrl", _channel(places)]
    if key_file:
        cipher = mode_of(key_file)
        for option in ("--key", "--migration-key"):
            arguments += [option, f"file={key_file},mode={cipher},format=hex"]
    return arguments


async def start(places: Places, state: Path, key_file: str) -> None:
    """Start swtpm on a state directory and return when QEMU can connect; raises PermanentError.

    One that an interrupted call left is ended first.
    """
    for path in filter(None, (str(places.socket), key_file)):
        if "," in path:
            raise PermanentError(f"swtpm cannot take the comma in {path}")
    await end(places)
    pid = await asyncio.to_thread(_spawn, places, state, key_file)
    until = time.monotonic() + _START_SECONDS
    while not await asyncio.to_thread(_listens, places.socket):
        if await asyncio.to_thread(_reaped, pid) or time.monotonic() > until:
            lines = await asyncio.to_thread(_log_lines, places)
            await end(places)
            raise PermanentError(
                f"swtpm did not start: {lines[-1] if lines else 'it said nothing'}"
            )
        await asyncio.sleep(_POLL_SECONDS)


async def end(places: Places) -> None:
    """End the TPM's process, if it runs, and see it gone; idempotent; raises PermanentError."""
    if not await asyncio.to_thread(_end, places):
        raise PermanentError(f"swtpm at {places.socket} cannot be ended")
    await asyncio.to_thread(places.socket.unlink, missing_ok=True)


def find(places: Places) -> int | None:
    """Return the pid of the process that serves the TPM's socket, whoever started it."""
    channel = _channel(places).encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _serves(int(entry.name), channel):
            return int(entry.name)
    return None


def _channel(places: Places) -> str:
    return f"type=unixio,path={places.socket},mode=0600"


def _serves(pid: int, channel: bytes) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return Path(words[0].decode(errors="replace")).name == PROGRAM and channel in words


def _spawn(places: Places, state: Path, key_file: str) -> int:
    places.socket.unlink(missing_ok=True)
    arguments = ["env", f"--chdir={state}", *command_line(places, key_file)]
    arguments = in_scope(arguments, "swtpm")
    program = shutil.which(arguments[0])
    if program is None or not installed():
        raise PermanentError("swtpm is not installed", hint="Debian: swtpm")
    log = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    # Raw and in a session of its own: it shall outlive this process, which a Popen would regret.
    return os.posix_spawn(
        program,
        arguments,
        {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(places.log), log, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def _reaped(pid: int) -> bool:
    """Collect a child that ended; say whether it did."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False  # not ours: somebody else waits for it


def _listens(socket: Path) -> bool:
    # This thread's, since a thread may have a network namespace of its own.
    table = Path("/proc/thread-self/net/unix")
    for line in table.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[7] == str(socket) and int(fields[3], 16) & _LISTENING:
            return True
    return False


def _log_lines(places: Places) -> list[str]:
    try:
        return places.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return []


def _end(places: Places) -> bool:
    pid = find(places)
    if pid is None:
        return True
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        # The number may have been given to another process before the handle was ours.
        if not _serves(pid, _channel(places).encode()):
            return True
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], _END_SECONDS)[0]:
                _reaped(pid)
                return True
    finally:
        os.close(handle)
    return False
