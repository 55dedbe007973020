"""Xen's watchdog under a whole warden: pauses that would kill, and resets without xl's monitor.

Xen is a fake ``xl`` (plugins/xen/tests); everything else is real.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from domwarden.config import load_domain, load_host
from domwarden.contract import ConflictError, RefusedError, RunState
from domwarden.warden import Warden
from domwarden_xen import monitor
from domwarden_xen.files import Files

from .house import supervisors, until

pytestmark = pytest.mark.live  # as a system test that takes many seconds

ROOT = Path(__file__).resolve().parents[2]
HOST = """\
host: a
state: a/state
drivers: {{xen: {{xl: {folder}/a/xl, log_directory: {folder}/a/host/log}}}}
"""
DOMAIN = """\
domain: web1
engine: xen
memory: 128MiB
boot: {kernel: /guest/vmlinux}
watchdog:
  driver: xen_wdt
  timeout: 10s
  action: reset
  escalate: {after: 2, within: 1h, action: pause}
"""
LIMIT_SECONDS = 200.0


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"plugins/xen/tests/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FAKE = _load("fake_world")


@contextlib.asynccontextmanager
async def started(folder: Path) -> AsyncIterator[tuple[Warden, Path]]:
    """Enter the warden of a guarded domain that runs, and the folder of its fake Xen."""
    FAKE.install(folder / "a")
    (folder / "host.yaml").write_text(HOST.format(folder=folder))
    (folder / "web1.yaml").write_text(DOMAIN)
    async with Warden(load_host(folder / "host.yaml")) as warden:
        await warden.start(load_domain(folder / "web1.yaml"))
        try:
            yield warden, folder / "a/host"
        finally:
            await _stopped(warden)
            # Of a Xen that answers nothing any more it would learn nothing, and wait for ever.
            await until(lambda: not supervisors(folder / "a/state"), "its supervisor ends with it")
            (folder / "a/host/state.json").unlink()  # its monitors end with it


@pytest.mark.time_limit(300)
async def test_a_pause_that_xens_timer_would_outlive_is_refused(tmp_path: Path) -> None:
    """Its timer runs on while the domain is paused; one that is not armed hurts nobody."""
    async with started(tmp_path) as (warden, xen):
        FAKE.change(xen, "web1", timeout=100)
        with pytest.raises(RefusedError) as refused:
            await warden.pause("web1")
        (refusal,) = refused.value.refusals
        assert (refusal.code, refusal.device) == ("watchdog-too-short", "watchdog")
        assert "run on while the domain stands still" in refusal.reason
        (status,) = await warden.status("web1")
        assert status.state is RunState.RUNNING
        assert status.watchdog is not None
        assert status.watchdog.time_left_seconds is not None
        assert 0 < status.watchdog.time_left_seconds <= 101

        FAKE.change(xen, "web1", timeout=0)
        (tmp_path / "a/state/xen-timers.json").unlink()  # what was read a moment ago
        await warden.pause("web1")
        (status,) = await warden.status("web1")
        assert status.state is RunState.PAUSED


@pytest.mark.time_limit(500)
async def test_the_second_expiry_escalates_also_where_xls_monitor_is_gone(tmp_path: Path) -> None:
    """Domwarden makes the domain again as xl would have, and then does what escalates."""
    async with started(tmp_path) as (warden, xen):
        for expiries in (1, 2):
            for pid in monitor.pids(Files(warden.host, "web1")):
                os.kill(pid, signal.SIGKILL)
            FAKE.change(xen, "web1", timeout=10, hung=True)
            FAKE.forward(xen, 11.0)
            wanted = (RunState.RUNNING if expiries == 1 else RunState.PAUSED, expiries)
            async with asyncio.timeout(LIMIT_SECONDS):
                while (await _seen(warden)) != wanted:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.1)


async def _stopped(warden: Warden) -> None:
    """Stop the domain once its supervisor, that may be at it, lets go."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            try:
                await warden.stop("web1")
                return
            except ConflictError:
                await asyncio.sleep(0.1)


async def _seen(warden: Warden) -> tuple[RunState, int]:
    (status,) = await warden.status("web1")
    return status.state, status.expiries
