"""A start that is cancelled leaves no process behind, not even one that comes later."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

import pytest

from domwarden.contract import Host
from domwarden_qemu import launch, process
from domwarden_qemu.files import Files
from domwarden_qemu.monitor import Monitor
from domwarden_qemu.record import Record


async def test_a_start_that_is_cancelled_while_its_disk_is_slow_makes_no_process_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked for it would find nothing there, and close everything."""
    files = Files(Host("a", tmp_path), "web1")
    named = ["-nodefaults", "-pidfile", str(files.pidfile), "-name", "guest=web1,debug-threads=on"]
    command = [sys.executable, "-c", "import time; time.sleep(60)", *named]
    writing, written = threading.Event(), threading.Event()

    def rotate(log: Path) -> None:
        writing.set()
        assert written.wait(60)
        log.touch()

    monkeypatch.setattr(launch, "_rotate", rotate)
    monitor = Monitor(files.control, "web1")
    starting = asyncio.create_task(launch.launch(files, command, monitor, Record("")))
    assert await asyncio.to_thread(writing.wait, 60)
    for _ in range(2):  # by its own time-out, say, and by the end of all
        starting.cancel()
        for _ in range(3):
            await asyncio.sleep(0)  # it hears of that while its thread is busy
    written.set()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await asyncio.get_running_loop().shutdown_default_executor()
    assert process.find(files.pidfile) is None
    assert not files.directory.exists()
