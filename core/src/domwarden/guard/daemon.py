"""The guard as a process: one lock, one loop, and what each signal means."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from domwarden.config import GuardFile
from domwarden.contract import ConflictError, DomwardenError
from domwarden.guard.guard import Guard
from domwarden.guard.privileges import be_realtime, lock_memory
from domwarden.guard.signals import Signals, heard
from domwarden.guard.talk import tell_systemd
from domwarden.guard.watchdogs import Watchdogs

logger = logging.getLogger(__name__)

Read = Callable[[], GuardFile]


def run(read: Read) -> None:
    """Guard this machine until a signal ends it; ``read`` reads the settings, again on HUP.

    Raises DomwardenError when the guard cannot begin. An exception later leaves the watchdogs
    counting, as a kill does.
    """
    settings = read()
    lock = _lock(settings.state_directory)
    try:
        with heard() as signals:
            guard = Guard(settings, Watchdogs(settings.state_directory))
            _prepare(settings)
            guard.start()
            tell_systemd("READY=1")
            _loop(guard, signals, read)
    finally:
        os.close(lock)


def _loop(guard: Guard, signals: Signals, read: Read) -> None:
    while True:
        for number in signals.wait(guard.step(time.monotonic())):
            if number is signal.SIGHUP:
                _reload(guard, read)
            elif number in _LEAVING:
                logger.info("%s: %s", number.name, _LEAVING[number])
                tell_systemd("STOPPING=1")
                guard.close()
                if number is signal.SIGTERM:
                    guard.watchdogs.hand_over(guard.settings.hand_over_seconds)
                else:
                    guard.watchdogs.disarm()
                return


_LEAVING = {
    signal.SIGTERM: "the watchdogs are handed over",
    signal.SIGUSR1: "the watchdogs are disarmed",
    signal.SIGINT: "the watchdogs are disarmed",
}


def _reload(guard: Guard, read: Read) -> None:
    tell_systemd(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
    before = guard.settings.state_directory
    try:
        settings = read()
        if settings.state_directory != before:
            raise DomwardenError("the state directory cannot change", hint="start the guard anew")
        guard.reload(settings)
        logger.info("the settings were read again")
    except DomwardenError as error:
        logger.warning("the settings stay as they were: %s", error)
    tell_systemd("READY=1")


def _prepare(settings: GuardFile) -> None:
    complaints = [
        lock_memory() if settings.lock_memory else "",
        be_realtime(settings.priority) if settings.priority else "",
    ]
    for complaint in filter(None, complaints):
        logger.warning("%s", complaint)


def _lock(directory: Path) -> int:
    """Return the held lock; raises ConflictError while another guard holds it."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DomwardenError(f"{directory}: {error.strerror}", hint="be root") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ConflictError(f"another guard holds {directory}/lock") from None
    return lock
