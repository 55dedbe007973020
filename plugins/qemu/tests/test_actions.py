"""What the supervisor does after an expiry, against a scripted QEMU."""

from __future__ import annotations

from pathlib import Path

import pytest

from domwarden.contract import Action, EngineError
from domwarden_qemu.actions import act
from domwarden_qemu.files import Files
from domwarden_qemu.monitor import Monitor

from .fake_qmp import FakeQmp
from .rooms import host


@pytest.mark.parametrize("action", [Action.RESET, Action.DUMP])
@pytest.mark.parametrize("status", ["finish-migrate", "postmigrate", "inmigrate"])
async def test_a_copy_that_moved_meanwhile_is_not_let_run(
    tmp_path: Path, action: Action, status: str
) -> None:
    """A dump takes long enough for a move to complete: the other copy may run by now."""
    files = Files(host(tmp_path), "web1")
    files.create()
    async with FakeQmp().serve(files.control) as qemu:
        qemu.answers["query-status"] = {"status": status, "running": False}
        qemu.answers["query-memory-size-summary"] = {"base-memory": 0}
        ended = {"event": "DUMP_COMPLETED", "data": {"result": {"status": "completed"}}}
        qemu.before["dump-guest-memory"] = [ended]
        with pytest.raises(EngineError, match="moving"):
            await act(files, Monitor(files.control, "web1"), action)
    assert not {"system_reset", "cont"} & set(qemu.commands())


async def test_a_dumped_guest_is_reset_and_runs(tmp_path: Path) -> None:
    """QEMU only paused it: the supervisor writes the dump, resets it, and lets it run."""
    files = Files(host(tmp_path), "web1")
    files.create()
    async with FakeQmp().serve(files.control) as qemu:
        qemu.answers["query-status"] = {"status": "paused", "running": False}
        qemu.answers["query-memory-size-summary"] = {"base-memory": 0}
        ended = {"event": "DUMP_COMPLETED", "data": {"result": {"status": "completed"}}}
        qemu.before["dump-guest-memory"] = [ended]
        await act(files, Monitor(files.control, "web1"), Action.DUMP)
    assert qemu.commands()[-3:] == ["system_reset", "query-status", "cont"]
