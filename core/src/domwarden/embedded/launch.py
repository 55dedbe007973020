"""Starting a host's hypervisor process when it is needed."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

from domwarden.contract import EngineError, in_scope
from domwarden.embedded import wire
from domwarden.embedded.sockets import connect_unix

#: A busy machine needs seconds to start an interpreter.
START_SECONDS = 30.0


def launch(state_directory: Path, idle_seconds: float) -> None:
    """Return once the process answers; blocks, so call it in a thread.  Raises EngineError."""
    folder = wire.directory(state_directory)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "launch.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _locked(lock):
            if time.monotonic() > deadline:
                raise EngineError("somebody else has been starting the hypervisor for too long")
            time.sleep(0.02)
        if not answers(state_directory):
            _start(state_directory, idle_seconds, folder / "process.log", deadline)
    finally:
        os.close(lock)


def answers(state_directory: Path) -> bool:
    """Say whether a process listens."""
    try:
        connect_unix(wire.socket_path(state_directory)).close()
    except OSError:
        return False
    return True


def _start(state_directory: Path, idle_seconds: float, log: Path, deadline: float) -> None:
    module = "domwarden.embedded.process"
    idle = ["--idle-seconds", str(idle_seconds)]
    command = [sys.executable, "-m", module, "--detach", *idle, str(state_directory)]
    with log.open("ab") as output:
        try:
            subprocess.run(
                in_scope(command, "embedded hypervisor"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
                check=True,
                timeout=START_SECONDS,
            )
        except (OSError, subprocess.SubprocessError) as error:
            what = f"the embedded hypervisor did not start: {error}"
            raise EngineError(what, hint=f"see {log}") from error
    while not answers(state_directory):
        if time.monotonic() > deadline:
            raise EngineError("the embedded hypervisor did not start in time", hint=f"see {log}")
        time.sleep(0.02)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
