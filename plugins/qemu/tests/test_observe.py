"""QEMU's states are read with caution: nothing owns a domain by accident."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from domwarden.contract import EngineError, RunState
from domwarden_qemu.files import Files
from domwarden_qemu.monitor import Monitor
from domwarden_qemu.observe import UNDER_WAY, judge, observe
from domwarden_qemu.process import boot_id, start_time
from domwarden_qemu.record import Record
from domwarden_qemu.resuming import resume

from .fake_qmp import FakeQmp, HangUp
from .rooms import host

STARTED = Record("boot")
HELD = Record("boot", migration="m", activated=False, ran=False)


@pytest.mark.parametrize(
    ("record", "status", "phase", "expected"),
    [
        (STARTED, "running", None, RunState.RUNNING),
        (STARTED, "running", "active", RunState.RUNNING),
        (STARTED, "running", "completed", RunState.RUNNING),  # came back after a move
        (STARTED, "prelaunch", None, RunState.INCOMING),
        (STARTED, "paused", None, RunState.PAUSED),
        (STARTED, "paused", "active", RunState.PAUSED),
        (STARTED, "watchdog", None, RunState.PAUSED),
        (STARTED, "guest-panicked", None, RunState.PAUSED),
        (STARTED, "finish-migrate", "pre-switchover", RunState.SUSPENDED),
        (STARTED, "finish-migrate", "completed", RunState.DEPARTED),  # a moment later postmigrate
        (STARTED, "postmigrate", "completed", RunState.DEPARTED),
        (STARTED, "postmigrate", "cancelled", RunState.PAUSED),
        (STARTED, "postmigrate", "failed", RunState.PAUSED),
        (STARTED, "postmigrate", "device", RunState.SUSPENDED),
        (Record("boot", returned=True), "postmigrate", "completed", RunState.PAUSED),
        (STARTED, "save-vm", None, RunState.RUNNING),  # our look at the watchdog
        (STARTED, "shutdown", None, RunState.ENDED),
        (STARTED, "something-new", None, RunState.UNKNOWN),
        (HELD, "inmigrate", None, RunState.INCOMING),
        (HELD, "inmigrate", "active", RunState.INCOMING),
        (HELD, "paused", "active", RunState.INCOMING),
        (HELD, "paused", "completed", RunState.RECEIVED),
        (HELD, "postmigrate", "completed", RunState.RECEIVED),  # its source was so
        (Record("boot", migration="m"), "paused", "completed", RunState.PAUSED),
    ],
)
def test_each_state_of_qemu_has_one_meaning(
    record: Record, status: str, phase: str | None, expected: RunState
) -> None:
    migration = {} if phase is None else {"status": phase}
    assert judge(record, status, migration) is expected


@pytest.mark.parametrize("phase", sorted(UNDER_WAY))
def test_a_guest_stopped_by_its_own_save_is_suspended_not_paused(phase: str) -> None:
    assert judge(STARTED, "paused", {"status": phase}, saving=True) is RunState.SUSPENDED
    assert judge(STARTED, "paused", {"status": phase}) is RunState.PAUSED


def _files(root: Path, **facts: object) -> Files:
    """Return a domain whose process is this one: alive for certain."""
    files = Files(host(root), "web1")
    files.create()
    own = {"pid": os.getpid(), "start_time": start_time(os.getpid())}
    Record(boot_id(), **{**own, **facts}).save(files.record)  # type: ignore[arg-type]  # plain facts
    return files


async def test_a_domain_without_a_record_is_absent(tmp_path: Path) -> None:
    files = Files(host(tmp_path), "web1")
    assert (await observe(files, Monitor(files.control, "web1"))).state is RunState.ABSENT


async def test_a_process_of_an_earlier_boot_has_ended(tmp_path: Path) -> None:
    files = _files(tmp_path)
    Record("another-boot", pid=os.getpid(), start_time=start_time(os.getpid()) or 0).save(
        files.record
    )
    assert (await observe(files, Monitor(files.control, "web1"))).state is RunState.ENDED


async def test_a_recycled_pid_has_ended(tmp_path: Path) -> None:
    files = _files(tmp_path, start_time=1)
    assert (await observe(files, Monitor(files.control, "web1"))).state is RunState.ENDED


async def test_an_unreadable_record_is_unknown_and_not_absent(tmp_path: Path) -> None:
    files = _files(tmp_path)
    files.record.write_text("{")
    seen = await observe(files, Monitor(files.control, "web1"))
    assert seen.state is RunState.UNKNOWN
    assert "unreadable" in seen.detail


async def test_a_qemu_that_hangs_up_is_unknown_while_its_process_lives(tmp_path: Path) -> None:
    files = _files(tmp_path)
    async with FakeQmp().serve(files.control) as qemu:
        qemu.answers["query-status"] = HangUp
        seen = await observe(files, Monitor(files.control, "web1"))
    assert seen.state is RunState.UNKNOWN


async def test_a_running_qemu_is_running(tmp_path: Path) -> None:
    files = _files(tmp_path)
    async with FakeQmp().serve(files.control) as qemu:
        qemu.answers["query-status"] = {"status": "running", "running": True}
        seen = await observe(files, Monitor(files.control, "web1"))
    assert (seen.state, seen.detail) == (RunState.RUNNING, "running")


@pytest.mark.parametrize(
    ("facts", "status", "phase", "message"),
    [
        ({"activated": False, "migration": "m"}, "paused", "completed", "not been granted"),
        ({}, "postmigrate", "completed", "is not given up"),
        ({}, "finish-migrate", "pre-switchover", "is not given up"),
    ],
)
async def test_a_copy_that_does_not_own_the_domain_is_not_resumed(
    tmp_path: Path, facts: dict[str, object], status: str, phase: str, message: str
) -> None:
    files = _files(tmp_path, **facts)
    async with FakeQmp().serve(files.control) as qemu:
        qemu.answers["query-status"] = {"status": status}
        qemu.answers["query-migrate"] = {"status": phase}
        with pytest.raises(EngineError, match=message):
            await resume(files, Monitor(files.control, "web1"))
        assert "cont" not in qemu.commands()


async def test_a_domain_left_paused_by_a_move_given_up_is_resumed(tmp_path: Path) -> None:
    files = _files(tmp_path, returned=True)
    async with FakeQmp().serve(files.control) as qemu:
        qemu.answers["query-status"] = {"status": "postmigrate"}
        await resume(files, Monitor(files.control, "web1"))
        assert qemu.commands()[-1] == "cont"
    record = Record.load(files.record)
    assert record is not None
    assert not record.returned
