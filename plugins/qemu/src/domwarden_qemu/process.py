"""QEMU's process as the kernel sees it: made, found again, signalled, seen gone."""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import os
import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from domwarden.contract import EngineError

from .record import Record

#: Descriptors are moved above this before a child gets them under fixed low numbers.
_HIGH_FD = 100

#: What QEMU puts before its words: the time (-msg timestamp) and its own name.
_STAMP = re.compile(r"^(\d{4}-\S+Z )?(\S*qemu-system-\S+: )?")


def boot_id() -> str:
    """Return this boot's identity (Linux, proc(5))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int | None:
    """Return the process's start in clock ticks since boot; None when it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may hold anything; the fields count from the last parenthesis.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def spawn(argv: Sequence[str], files: Mapping[int, int], log: Path) -> int:
    """Start a program detached in a session of its own; returns its pid, raises EngineError.

    ``files`` maps the child's descriptor numbers to ours; stdout and stderr go to ``log``.
    """
    high: dict[int, int] = {}
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        for number, ours in files.items():
            high[number] = fcntl.fcntl(ours, fcntl.F_DUPFD_CLOEXEC, _HIGH_FD)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        return os.posix_spawnp(
            argv[0],
            list(argv),
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                *((os.POSIX_SPAWN_DUP2, theirs, number) for number, theirs in high.items()),
            ],
            setsid=True,
            setsigmask=(),
            # Python ignores SIGPIPE, and an ignored signal stays ignored across exec.
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT),
        )
    except OSError as error:
        raise EngineError(f"{argv[0]}: {error.strerror}", command=argv[0]) from error
    finally:
        for descriptor in high.values():
            os.close(descriptor)


def find(pidfile: Path) -> int | None:
    """Find the QEMU that keeps this pid file: the one whose pid was never recorded.

    An editor or a ``tail`` that has the path among its arguments is none.
    """
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it ended while we looked
            if _is_ours(arguments, bytes(pidfile)) and start_time(int(entry.name)) is not None:
                return int(entry.name)
    return None


def _is_ours(arguments: Sequence[bytes], pidfile: bytes) -> bool:
    """Say whether this is a command line as our own one is made: each of these signs is in it."""
    pairs = set(itertools.pairwise(arguments))
    guest = os.fsencode(f"guest={Path(os.fsdecode(pidfile)).parents[1].name},")
    return (
        (b"-pidfile", pidfile) in pairs
        and b"-nodefaults" in arguments
        and any(option == b"-name" and value.startswith(guest) for option, value in pairs)
    )


def alive(record: Record, pidfile: Path) -> int | None:
    """Return the pid of the recorded process if it still is that process, else None."""
    if record.boot_id != boot_id():
        return None
    if record.pid is None:
        return find(pidfile)
    if start_time(record.pid) == record.start_time:
        return record.pid
    try:
        os.waitpid(record.pid, os.WNOHANG)  # if it was our own child, let the kernel forget it
    except OSError:
        pass  # it was not ours, or it is reaped already
    return None


def send_signal(record: Record, pidfile: Path, number: signal.Signals) -> bool:
    """Signal that very process; False when it is gone."""
    pid = alive(record, pidfile)
    if pid is None:
        return False
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        # The handle is fixed now; if it is still the recorded process, nothing can change that.
        if alive(record, pidfile) != pid:
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


async def ended(record: Record, pidfile: Path, timeout_seconds: float) -> bool:
    """Wait until the process is gone; False when it still is there after that time."""
    pid = alive(record, pidfile)
    if pid is None:
        return True
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return alive(record, pidfile) is None
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(handle, gone.set)  # a pidfd is readable once its process has ended
    try:
        if alive(record, pidfile) == pid:
            async with asyncio.timeout(timeout_seconds):
                await gone.wait()
    except TimeoutError:
        pass
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    return alive(record, pidfile) is None


def last_words(log: Path, offset: int) -> str:
    """Return the last lines that were written to the log after the offset, as one.

    Two of them: QEMU gives the reason first, and then says what it gave up.
    """
    try:
        with log.open("rb") as file:
            file.seek(offset)
            lines = file.read()[-65536:].decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return "; ".join(_STAMP.sub("", line) for line in lines[-2:])
