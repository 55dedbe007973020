"""What the driver believes of QEMU's mirror jobs, before a fake QEMU on a real socket."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from domwarden.contract import End, EngineError, OutcomeUnknownError, QemuControl, Step
from domwarden.testing.qmp import fake_qmp
from domwarden.testing.sides import pair

from .helpers import Side, host

ADDRESS = {"address": {"type": "unix", "path": "/nowhere"}}


class FakeQemu:
    """A QEMU whose mirror job does what a test says."""

    def __init__(self) -> None:
        self.job: dict[str, Any] | None = None
        self.nodes = {"root", "root-file"}
        self.exports: set[str] = set()
        self.after_cancel: dict[str, Any] = {"status": "concluded"}
        self.commands: list[str] = []

    async def answer(self, command: str, arguments: Mapping[str, Any], emit: Any) -> Any:
        self.commands.append(command)
        match command:
            case "query-jobs":
                return [self.job] if self.job is not None else []
            case "query-named-block-nodes":
                return [{"node-name": name} for name in sorted(self.nodes)]
            case "query-block-exports":
                return [{"id": name} for name in sorted(self.exports)]
            case "blockdev-add":
                self.nodes.add(arguments["node-name"])
            case "blockdev-del":
                if arguments["node-name"] not in self.nodes:
                    raise EngineError("Failed to find node")
                self.nodes.discard(arguments["node-name"])
            case "blockdev-mirror":
                assert arguments["auto-dismiss"] is False
                assert arguments["sync"] == "full"
                # No more is under way than a frozen target's socket takes in.
                assert arguments["buf-size"] < 208 * 1024
                self.job = job("ready")
                emit("BLOCK_JOB_READY", {"device": "root-mirror"})
            case "block-job-cancel":
                assert self.job is not None
                self.job |= self.after_cancel
                emit("BLOCK_JOB_COMPLETED", {"device": "root-mirror"})
            case "job-dismiss":
                self.job = None
            case "nbd-server-stop" | "yank" | "block-export-del":
                raise EngineError("not found")
            case _:
                raise AssertionError(command)
        return {}


def job(status: str, **more: Any) -> dict[str, Any]:
    progress = {"current-progress": 100, "total-progress": 100}
    return {"id": "root-mirror", "type": "mirror", "status": status, **progress, **more}


@contextlib.asynccontextmanager
async def mirroring(directory: Path) -> AsyncIterator[tuple[FakeQemu, Side]]:
    """A source whose mirror is ready."""
    fake = FakeQemu()
    controls: dict[type, object] = {}
    options = {"source": "/srv/disk.raw", "placement": "mirror"}
    source = Side(End.SOURCE, host(directory, "a"), options, controls=controls)
    target = Side(End.DESTINATION, host(directory, "b"), options)
    target.given = ADDRESS
    pair(source, target)
    async with fake_qmp(fake.answer) as control:
        controls[QemuControl] = control
        await source.step(Step.PREPARE)
        yield fake, source


async def settle(source: Side) -> None:
    await source.step(Step.START)
    await source.step(Step.SYNC)


async def test_a_job_that_completed_without_an_error_is_believed(tmp_path: Path) -> None:
    """The target's node goes; the ended job stays as evidence, so SYNC may be asked again."""
    async with mirroring(tmp_path) as (fake, source):
        await settle(source)
        await source.step(Step.SYNC)
        assert source.given == {"mirrored": True}
        assert fake.nodes == {"root", "root-file"}
        assert fake.job is not None


@pytest.mark.parametrize(
    "after",
    [
        {"status": "concluded", "error": "No space left on device"},
        {"status": "concluded", "current-progress": 99},
    ],
    ids=["error", "short"],
)
async def test_a_job_that_ended_otherwise_is_no_mirror(
    tmp_path: Path, after: dict[str, Any]
) -> None:
    """Neither an error nor missing bytes pass for completion."""
    async with mirroring(tmp_path) as (fake, source):
        fake.after_cancel = after
        with pytest.raises(EngineError, match="mirror of disk root ended"):
            await settle(source)
        assert source.given is None


async def test_a_job_that_is_gone_is_unknown(tmp_path: Path) -> None:
    """Without evidence nothing is claimed."""
    async with mirroring(tmp_path) as (fake, source):
        await source.step(Step.START)
        fake.job = None
        with pytest.raises(OutcomeUnknownError, match="no mirror job"):
            await source.step(Step.SYNC)


async def test_a_mirror_that_is_not_ready_is_not_ended_as_if_it_were(tmp_path: Path) -> None:
    """Cancelling a running job would throw the copy away and look like success."""
    async with mirroring(tmp_path) as (fake, source):
        fake.job = job("running")
        with pytest.raises(EngineError, match="state running"):
            await source.step(Step.START)
        assert "block-job-cancel" not in fake.commands


async def test_prepare_goes_on_with_the_job_that_is_there(tmp_path: Path) -> None:
    """After a crash the mirror is not begun a second time."""
    async with mirroring(tmp_path) as (fake, source):
        await source.step(Step.PREPARE)
        assert fake.commands.count("blockdev-mirror") == 1


async def test_recovery_cuts_the_connection_before_anything_polite(tmp_path: Path) -> None:
    """A goodbye to a target that hangs would stop QEMU's main loop."""
    async with mirroring(tmp_path) as (fake, source):
        fake.commands.clear()
        for _ in range(2):
            await source.recover(Step.PREPARE)
        acting = [c for c in fake.commands if not c.startswith("query-")]
        wanted = ["block-job-cancel", "yank", "job-dismiss", "yank", "blockdev-del"]
        assert [c for c in acting if c != "nbd-server-stop"][:5] == wanted
        assert fake.job is None
        assert fake.nodes == {"root", "root-file"}


async def test_an_export_that_stays_keeps_no_mirror_on_its_disk(tmp_path: Path) -> None:
    """Recovery fails for the export, and ends the job and removes its node all the same."""
    async with mirroring(tmp_path) as (fake, source):
        fake.exports.add("root-export")  # and QEMU refuses to remove it
        with pytest.raises(EngineError, match="not found"):
            await source.recover(Step.START)
        assert fake.job is None
        assert fake.nodes == {"root", "root-file"}
