"""The source's half of a move, against a QMP server that misbehaves as QEMU does."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from domwarden.contract import EngineError, GuestStoppedError, MigrationSettings
from domwarden_qemu import abort as abort_module
from domwarden_qemu import outgoing as outgoing_module
from domwarden_qemu.files import Files
from domwarden_qemu.monitor import Monitor
from domwarden_qemu.outgoing import QemuOutgoing
from domwarden_qemu.process import boot_id, start_time
from domwarden_qemu.record import Record

from .fake_qmp import FakeQmp, Refuse, Silence
from .rooms import definition, host

Making = Callable[..., contextlib.AbstractAsyncContextManager[tuple[QemuOutgoing, FakeQmp]]]


@pytest.fixture
def making(tmp_path: Path) -> Making:
    @contextlib.asynccontextmanager
    async def make(**changes: Any) -> AsyncIterator[tuple[QemuOutgoing, FakeQmp]]:
        files = Files(host(tmp_path), "web1")
        files.create()
        Record(boot_id(), pid=os.getpid(), start_time=start_time(os.getpid()) or 0).save(
            files.record
        )
        async with FakeQmp().serve(files.move) as qemu:
            qemu.answers["query-migrate-capabilities"] = [
                [{"capability": "return-path", "state": True}]
            ]
            qemu.answers["query-status"] = {"status": "running", "running": True}
            yield QemuOutgoing(files, Monitor(files.move, "web1"), definition(**changes)), qemu

    return make


@contextlib.contextmanager
def listening(tmp_path: Path) -> Any:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "there"))
        server.listen()
        yield {"unix": str(tmp_path / "there")}


def states(qemu: FakeQmp) -> dict[str, bool]:
    (arguments,) = (
        arguments for name, arguments, _ in qemu.heard if name == "migrate-set-capabilities"
    )
    return {entry["capability"]: entry["state"] for entry in arguments["capabilities"]}


async def test_a_live_move_has_a_return_path_and_stops_before_the_switchover(
    making: Making, tmp_path: Path
) -> None:
    async with making() as (outgoing, qemu):
        ram = {"total": 100, "transferred": 40, "remaining": 60, "mbps": 8.0, "page-size": 4096}
        qemu.answers["query-migrate"] = [
            {"status": "active", "ram": ram | {"dirty-pages-rate": 2}, "expected-downtime": 300},
            {"status": "pre-switchover", "ram": ram},
        ]
        qemu.answers["migrate"] = lambda _: qemu.emit("MIGRATION", status="pre-switchover") or {}
        reports: list[Any] = []
        with listening(tmp_path) as address:
            await outgoing.precopy(address, reports.append)
        assert states(qemu)["return-path"]
        assert states(qemu)["pause-before-switchover"]
        assert not states(qemu)["auto-converge"]
        assert "stop" not in qemu.commands()
        assert ("migrate", {"uri": "fd:stream"}, False) in qemu.heard
        first = reports[0]
        assert (first.rate_bytes_per_second, first.dirty_rate_bytes_per_second) == (1e6, 8192.0)
        assert first.expected_downtime_seconds == 0.3


async def test_a_save_stops_the_guest_and_has_nobody_to_hear_from(
    making: Making, tmp_path: Path
) -> None:
    async with making() as (outgoing, qemu):
        qemu.answers["query-migrate"] = {"status": "pre-switchover"}
        await outgoing.precopy({"file": str(tmp_path / "stream")}, lambda _: None)
        assert not states(qemu)["return-path"]
        commands = qemu.commands()
        assert commands.index("stop") < commands.index("migrate")
        assert (tmp_path / "stream").stat().st_mode & 0o777 == 0o600


async def test_auto_converge_is_switched_on_by_the_domains_file(
    making: Making, tmp_path: Path
) -> None:
    async with making(options={"auto_converge": True}) as (outgoing, qemu):
        qemu.answers["query-migrate"] = {"status": "pre-switchover"}
        with listening(tmp_path) as address:
            await outgoing.precopy(address, lambda _: None)
        assert states(qemu)["auto-converge"]


async def test_a_failed_transfer_says_qemus_reason(making: Making, tmp_path: Path) -> None:
    async with making() as (outgoing, qemu):
        qemu.answers["query-migrate"] = {"status": "failed", "error-desc": "Broken pipe"}
        with listening(tmp_path) as address, pytest.raises(EngineError, match="Broken pipe"):
            await outgoing.precopy(address, lambda _: None)


async def test_a_destination_that_does_not_listen_is_an_error_before_anything_moves(
    making: Making, tmp_path: Path
) -> None:
    async with making() as (outgoing, qemu):
        with pytest.raises(EngineError, match="No such file"):
            await outgoing.precopy({"unix": str(tmp_path / "there")}, lambda _: None)
        assert "migrate" not in qemu.commands()


async def test_pre_copy_that_never_ends_is_cancelled_at_its_limit(
    making: Making, tmp_path: Path
) -> None:
    limits = MigrationSettings(timeout_seconds=0.05)
    async with making(migration=limits) as (outgoing, qemu):
        qemu.answers["query-migrate"] = {"status": "active"}
        with listening(tmp_path) as address, pytest.raises(EngineError, match="did not converge"):
            await outgoing.precopy(address, lambda _: None)
        assert qemu.commands()[-1] == "migrate_cancel"


async def test_a_downtime_is_believed_only_with_postmigrate(making: Making) -> None:
    """Nobody waits for it while the guest stands: a move is complete with QEMU's own word."""
    async with making() as (outgoing, qemu):
        qemu.answers["query-migrate"] = [
            {"status": "pre-switchover"},
            {"status": "completed"},
            {"status": "completed"},
            {"status": "completed", "downtime": 12},
            {"status": "completed", "downtime": 12},
        ]
        await outgoing.complete(lambda _: None)
        assert "query-status" not in qemu.commands()
        qemu.answers["query-status"] = [
            {"status": "finish-migrate"},
            {"status": "finish-migrate"},
            {"status": "postmigrate"},
        ]
        assert await outgoing.downtime_seconds() == 0.012
        assert qemu.commands().count("migrate-continue") == 1


async def test_a_copy_that_never_leaves_the_switchover_is_an_engines_error(
    making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says what was seen, not the name of a time-out."""
    monkeypatch.setattr(outgoing_module, "_SETTLE_SECONDS", 0.05)
    async with making() as (outgoing, qemu):
        qemu.answers["query-migrate"] = {"status": "completed"}
        qemu.answers["query-status"] = {"status": "finish-migrate", "running": False}
        with pytest.raises(EngineError, match="it is finish-migrate after"):
            await outgoing.downtime_seconds()


async def test_a_second_complete_continues_nothing(making: Making) -> None:
    async with making() as (outgoing, qemu):
        qemu.answers["query-migrate"] = {"status": "completed", "downtime": 3}
        qemu.answers["query-status"] = {"status": "postmigrate"}
        await outgoing.complete(lambda _: None)
        assert "migrate-continue" not in qemu.commands()


def _hung(qemu: FakeQmp) -> None:
    """Let the main loop hang after migrate-continue until the yank."""
    before, after = {"status": "pre-switchover"}, {"status": "failed", "error-desc": "yanked"}
    hung = [False]

    def query(_: Any) -> Any:
        if hung[0]:
            return Silence
        return after if "yank" in qemu.commands() else before

    def proceed(_: Any) -> Any:
        hung[0] = True
        return Silence

    def yank(_: Any) -> Any:
        hung[0] = False
        return {}

    qemu.answers |= {"query-migrate": query, "migrate-continue": proceed, "yank": yank}


async def test_a_hung_switchover_is_cut_off_out_of_band(making: Making) -> None:
    async with making(options={"switchover_timeout": 0.05}) as (outgoing, qemu):
        _hung(qemu)
        with pytest.raises(EngineError, match=r"did not take the rest in 0\.35 s .* \(yanked\)"):
            await outgoing.complete(lambda _: None)
        yanks = [(arguments, oob) for name, arguments, oob in qemu.heard if name == "yank"]
        assert yanks == [({"instances": [{"type": "migration"}]}, True)]
        assert qemu.connections == 1  # a new one could not be negotiated


async def test_a_cancelled_switchover_is_cut_off_too(making: Making) -> None:
    async with making() as (outgoing, qemu):
        _hung(qemu)
        task = asyncio.create_task(outgoing.complete(lambda _: None))
        await qemu.until(lambda: "migrate-continue" in qemu.commands())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ("yank", {"instances": [{"type": "migration"}]}, True) in qemu.heard


async def test_abort_asks_before_it_acts(making: Making) -> None:
    async with making() as (outgoing, qemu):
        qemu.answers["query-migrate"] = {"status": "failed"}
        qemu.answers["query-status"] = {"status": "running"}
        await outgoing.abort(resume=True)
        assert set(qemu.commands()) == {"query-migrate", "query-status"}


async def test_abort_cancels_and_waits_for_the_guest_that_qemu_restarts(making: Making) -> None:
    async with making() as (outgoing, qemu):
        qemu.answers["query-migrate"] = [{"status": "pre-switchover"}, {"status": "cancelled"}]
        qemu.answers["query-status"] = [{"status": "finish-migrate"}, {"status": "running"}]
        await outgoing.abort(resume=True)
        assert "migrate_cancel" in qemu.commands()
        assert "cont" not in qemu.commands()


async def test_abort_without_resume_stops_a_guest_that_qemu_restarted(making: Making) -> None:
    async with making() as (outgoing, qemu):
        qemu.answers["query-migrate"] = {"status": "cancelled"}
        qemu.answers["query-status"] = [{"status": "running"}, {"status": "paused"}]
        await outgoing.abort(resume=False)
        assert "stop" in qemu.commands()


async def test_abort_of_a_complete_move_notes_that_the_copy_is_back(
    making: Making, tmp_path: Path
) -> None:
    async with making() as (outgoing, qemu):
        qemu.answers["query-migrate"] = {"status": "completed"}
        qemu.answers["query-status"] = {"status": "postmigrate"}
        await outgoing.abort(resume=False)
        assert "cont" not in qemu.commands()
        record = Record.load(Files(host(tmp_path), "web1").record)
        assert record is not None
        assert record.returned


async def test_abort_cuts_off_a_destination_with_which_qemu_hangs(
    making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first question already has no answer; only the out-of-band cut gets through."""
    monkeypatch.setattr(abort_module, "CANCEL_TIMEOUT_SECONDS", 0.05)
    async with making() as (outgoing, qemu):
        qemu.answers["query-migrate"] = [Silence, {"status": "failed"}]
        qemu.answers["query-status"] = {"status": "running", "running": True}
        await outgoing.abort(resume=True)
        assert ("yank", {"instances": [{"type": "migration"}]}, True) in qemu.heard


async def test_abort_waits_for_the_lock_of_a_dying_destination(making: Making) -> None:
    async with making() as (outgoing, qemu):
        qemu.answers["query-migrate"] = {"status": "completed"}
        qemu.answers["query-status"] = [{"status": "postmigrate"}] * 2 + [{"status": "running"}]
        qemu.answers["cont"] = [Refuse('Failed to get "write" lock'), {}]
        await outgoing.abort(resume=True)
        assert qemu.commands().count("cont") == 2


async def test_blockers_come_all_at_once_with_remedies(making: Making) -> None:
    live = {
        "cpu": "host",
        "addresses": {"fast": "0x4"},
        "devices": [{"driver": "nvme", "id": "fast", "addr": "0x4"}],
    }
    async with making(live=live) as (outgoing, qemu):
        qemu.answers["query-status"] = {"status": "postmigrate"}
        qemu.answers["query-migrate"] = {
            "status": "failed",
            "blocked-reasons": [
                "non-migratable device: 0000:00:04.0/nvme",
                "Migration is disabled when VirtFS export path '/x' is mounted in the guest",
                "something nobody has seen yet",
            ],
        }
        found = await outgoing.blockers()
    assert [(refusal.code, refusal.device) for refusal in found] == [
        ("device-state", "fast"),
        ("shared-folder", ""),
        ("engine-blocker", ""),
        ("cpu-host", ""),
        ("paused-by-move", ""),
    ]
    assert all(refusal.reason and refusal.remedy for refusal in found)


def test_a_domain_whose_disks_never_ran_here_does_not_move_on() -> None:
    from domwarden_qemu.blockers import refusals

    disk = {"driver": "virtio-blk-pci", "id": "root", "drive": "root"}
    held = Record("b", ran=False)
    live = definition(live={"devices": [disk]})
    assert [r.code for r in refusals(live, held, "paused", {})] == ["never-ran-here"]
    assert refusals(live, dataclasses.replace(held, ran=True), "paused", {}) == []


@pytest.mark.parametrize(
    ("events", "status", "stopped"),
    [
        ([("WATCHDOG", {"action": "pause"})], "finish-migrate", True),
        ([("WATCHDOG", {"action": "reset"})], "running", False),
        ([("STOP", {})], "paused", True),
        ([("STOP", {})], "io-error", True),
        ([("STOP", {})], "finish-migrate", False),  # the switchover's own
        ([("STOP", {})], "save-vm", False),  # a look at the watchdog's timer
    ],
)
async def test_a_guest_that_something_else_stopped_is_not_copied_further(
    making: Making, tmp_path: Path, events: list[Any], status: str, stopped: bool
) -> None:
    async with making() as (outgoing, qemu):
        qemu.answers["query-status"] = [
            {"status": "running", "running": True},
            {"status": status, "running": False},
        ]
        qemu.answers["query-migrate"] = {"status": "pre-switchover"}

        def migrate(_: Any) -> Any:
            for event, data in events:
                qemu.emit(event, **data)
            qemu.emit("MIGRATION", status="pre-switchover")
            return {}

        qemu.answers["migrate"] = migrate
        with listening(tmp_path) as address:
            if not stopped:
                await outgoing.precopy(address, lambda _: None)
                return
            with pytest.raises(GuestStoppedError, match="stopped while it was copied"):
                await outgoing.precopy(address, lambda _: None)


async def test_a_paused_guest_moves_paused_whatever_is_heard(
    making: Making, tmp_path: Path
) -> None:
    async with making() as (outgoing, qemu):
        qemu.answers["query-status"] = {"status": "watchdog", "running": False}
        qemu.answers["query-migrate"] = {"status": "pre-switchover"}
        qemu.answers["migrate"] = lambda _: qemu.emit("STOP") or {}
        with listening(tmp_path) as address:
            await outgoing.precopy(address, lambda _: None)


async def test_a_save_does_not_take_a_watchdogs_stop_for_its_own(
    making: Making, tmp_path: Path
) -> None:
    async with making() as (outgoing, qemu):
        qemu.answers["query-status"] = [
            {"status": "running", "running": True},
            {"status": "watchdog", "running": False},
        ]
        with pytest.raises(GuestStoppedError, match="its watchdog fired"):
            await outgoing.precopy({"file": str(tmp_path / "stream")}, lambda _: None)
        assert "migrate" not in qemu.commands()


@pytest.mark.parametrize(
    ("status", "phase", "live", "runs"),
    [
        ("watchdog", "cancelled", True, False),
        ("watchdog", "none", False, False),
        ("paused", "cancelled", True, False),
        ("postmigrate", "cancelled", True, False),
        ("paused", "cancelled", False, True),  # a save's own stop
        ("postmigrate", "cancelled", False, True),
        ("postmigrate", "completed", True, True),
    ],
)
async def test_abort_leaves_a_guest_as_something_else_stopped_it(
    making: Making, status: str, phase: str, live: bool, runs: bool
) -> None:
    async with making() as (outgoing, qemu):
        qemu.answers["query-migrate"] = {"status": phase}
        qemu.answers["query-migrate-capabilities"] = [
            [{"capability": "return-path", "state": live}]
        ]
        qemu.answers["query-status"] = [{"status": status}, {"status": "running"}]
        await outgoing.abort(resume=True)
        assert ("cont" in qemu.commands()) is runs
