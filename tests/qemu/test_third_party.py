"""A third party's driver takes part in moves of a real guest under real QEMU."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from domwarden.config import load_domain, load_host
from domwarden.contract import PermanentError, RefusedError, RunState
from domwarden.migration import MoveFailedError, Outcome
from domwarden.testing.console import Console
from domwarden.warden import Warden

from .lab import NAME, guest

pytestmark = [pytest.mark.live, pytest.mark.time_limit(240)]


def _write(root: Path) -> None:
    """Write two hosts that mount the same licences, and a domain that needs one."""
    made = guest()
    (root / "licences").mkdir()
    (root / "licences" / "cad.free").touch()
    for host, peer in ("ab", "ba"):
        _host(root, host, peer, root / "licences")
    domain = {
        "domain": NAME,
        "engine": "qemu",
        "memory": "192MiB",
        "boot": {"kernel": str(made.kernel), "cmdline": made.cmdline},
        "watchdog": {"driver": "i6300esb", "timeout": "30s"},
        "devices": {"cad": {"driver": "licence", "licence": "cad"}},
    }
    (root / "web1.yaml").write_text(yaml.safe_dump(domain))


def _host(root: Path, host: str, peer: str, licences: Path) -> None:
    text = {
        "host": host,
        "state": host,
        "peers": {peer: {"config": f"{peer}.yaml"}},
        "drivers": {"licence": {"directory": str(licences)}, "qemu": {"accel": "tcg"}},
    }
    (root / f"{host}.yaml").write_text(yaml.safe_dump(text))


def _licences(root: Path) -> list[str]:
    return [file.name for file in (root / "licences").iterdir()]


def _console(root: Path, host: str) -> Path:
    return root / host / "domains" / NAME / "qemu" / "console"


@contextlib.asynccontextmanager
async def _started(root: Path) -> AsyncIterator[Warden]:
    """Start the guest on host a; whatever is left is stopped afterwards."""
    _write(root)
    async with Warden(load_host(root / "a.yaml")) as warden:
        try:
            await warden.start(load_domain(root / "web1.yaml"))
            async with await Console.connect(_console(root, "a")) as console:
                await console.wait_ready(timeout_seconds=90.0)
            yield warden
        finally:
            for host in "ab":
                async with Warden(load_host(root / f"{host}.yaml")) as one:
                    with contextlib.suppress(PermanentError):
                        await one.stop(NAME)


async def test_a_licence_moves_with_a_real_guest(tmp_path: Path) -> None:
    """A host without the licences refuses; with them, licence and guest arrive together."""
    async with _started(tmp_path) as warden:
        assert _licences(tmp_path) == [f"cad.held.a.{NAME}"]
        _host(tmp_path, "b", "a", tmp_path / "not-mounted")
        async with Warden(load_host(tmp_path / "a.yaml")) as again:
            with pytest.raises(RefusedError) as refused:
                await again.migrate(NAME, "b")
        assert [r.code for r in refused.value.refusals] == ["no-licences"]
        assert _licences(tmp_path) == [f"cad.held.a.{NAME}"]
        _host(tmp_path, "b", "a", tmp_path / "licences")
        async with await Console.connect(_console(tmp_path, "a")) as console:
            await console.command("count start -")
            await console.wait_count(5)
        moved = await warden.migrate(NAME, "b")
        assert moved.running
        assert moved.alarms == ()
        assert _licences(tmp_path) == [f"cad.held.b.{NAME}"]
        async with await Console.connect(_console(tmp_path, "b")) as console:
            await console.wait_ready(timeout_seconds=30.0)
            assert int(await console.command("count stop")) >= 5


async def test_a_licence_comes_back_when_the_driver_dies(tmp_path: Path, monkeypatch) -> None:
    """The process that drives the move is killed after the destination took the licence."""
    async with _started(tmp_path) as warden:
        monkeypatch.setenv("DOMWARDEN_CRASH_AT", "received-not-ready")
        with pytest.raises(MoveFailedError) as failed:
            await warden.migrate(NAME, "b")
        monkeypatch.delenv("DOMWARDEN_CRASH_AT")
        assert failed.value.settled.outcome is Outcome.RESUMED
        assert _licences(tmp_path) == [f"cad.held.a.{NAME}"]
        (status,) = await warden.status(NAME)
        assert status.state is RunState.RUNNING
        async with await Console.connect(_console(tmp_path, "a")) as console:
            await console.wait_ready(timeout_seconds=30.0)


async def test_a_licence_is_free_while_its_guest_is_saved(tmp_path: Path) -> None:
    """A save gives the licence back; the restore waits for it to be free, and takes it."""
    async with _started(tmp_path) as warden:
        await warden.save(NAME, tmp_path / "saved")
        assert _licences(tmp_path) == ["cad.free"]
        taken = (tmp_path / "licences" / "cad.free").rename(
            tmp_path / "licences" / "cad.held.c.other"
        )
        with pytest.raises(RefusedError) as refused:
            await warden.restore(tmp_path / "saved")
        assert [r.code for r in refused.value.refusals] == ["licence-taken"]
        taken.rename(tmp_path / "licences" / "cad.free")
        restored = await warden.restore(tmp_path / "saved")
        assert restored.running
        assert _licences(tmp_path) == [f"cad.held.a.{NAME}"]
        async with await Console.connect(_console(tmp_path, "a")) as console:
            await console.wait_ready(timeout_seconds=30.0)
