"""A third party's driver takes part in moves of a real guest under real QEMU."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from domwarden.contract import RefusedError, RunState
from domwarden.migration import MoveFailedError, Outcome
from domwarden.warden import Warden

from .hosts import answers, shell, started, warden_of, write_domain, write_host
from .lab import NAME

pytestmark = [pytest.mark.live, pytest.mark.time_limit(240)]


def _write(root: Path) -> None:
    """Write two hosts that mount the same licences, and a domain that needs one."""
    (root / "licences").mkdir()
    (root / "licences" / "cad.free").touch()
    for host in "ab":
        _host(root, host, root / "licences")
    write_domain(root, {"cad": {"driver": "licence", "licence": "cad"}})


def _host(root: Path, host: str, licences: Path) -> None:
    write_host(root, host, licence={"directory": str(licences)})


def _licences(root: Path) -> list[str]:
    return [file.name for file in (root / "licences").iterdir()]


def _started(root: Path) -> AbstractAsyncContextManager[Warden]:
    _write(root)
    return started(root)


async def test_a_licence_moves_with_a_real_guest(tmp_path: Path) -> None:
    """A host without the licences refuses; with them, licence and guest arrive together."""
    async with _started(tmp_path) as warden:
        assert _licences(tmp_path) == [f"cad.held.a.{NAME}"]
        _host(tmp_path, "b", tmp_path / "not-mounted")
        async with warden_of(tmp_path, "a") as again:
            with pytest.raises(RefusedError) as refused:
                await again.migrate(NAME, "b")
        assert [r.code for r in refused.value.refusals] == ["no-licences"]
        assert _licences(tmp_path) == [f"cad.held.a.{NAME}"]
        _host(tmp_path, "b", tmp_path / "licences")
        async with shell(tmp_path, "a") as console:
            await console.command("count start -")
            await console.wait_count(5)
        moved = await warden.migrate(NAME, "b")
        assert moved.running
        assert moved.alarms == ()
        assert _licences(tmp_path) == [f"cad.held.b.{NAME}"]
        async with shell(tmp_path, "b") as console:
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
        await answers(tmp_path, "a")


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
        await answers(tmp_path, "a")
