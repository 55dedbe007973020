"""The destination's half of a move, against a QMP server that misbehaves as QEMU does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import voluptuous as vol

from domwarden.contract import EngineError
from domwarden_qemu.capabilities import Capabilities
from domwarden_qemu.files import Files
from domwarden_qemu.incoming import QemuIncoming
from domwarden_qemu.monitor import Monitor
from domwarden_qemu.process import boot_id, start_time
from domwarden_qemu.record import Record
from domwarden_qemu.schema import HOST_SCHEMA, HostOptions

from .rooms import host


async def _unasked() -> Capabilities:
    raise AssertionError("nothing is started here")


async def test_a_copy_that_could_not_be_told_to_run_may_still_be_discarded(tmp_path: Path) -> None:
    """Its domain goes back to the source only if what never ran can be destroyed."""
    files = Files(host(tmp_path), "web1")
    files.create()
    own = os.getpid()
    Record(boot_id(), own, start_time(own) or 0, migration="m1", activated=False, ran=False).save(
        files.record
    )
    incoming = QemuIncoming(files, Monitor(files.move, "web1"), "m1", HostOptions(), _unasked)
    with pytest.raises(EngineError, match="no connection"):
        await incoming.activate(run=True)
    record = Record.load(files.record)
    assert record is not None
    assert not record.activated


@pytest.mark.parametrize(
    ("settings", "address"),
    [({}, ""), ({"listen": "10.0.0.2"}, "10.0.0.2"), ({"listen": "fd00::2"}, "fd00::2")],
)
def test_a_stream_arrives_where_the_host_file_says(
    tmp_path: Path, settings: dict[str, Any], address: str
) -> None:
    files = Files(host(tmp_path), "web1")
    options = HostOptions(**vol.Schema(HOST_SCHEMA)(settings))
    incoming = QemuIncoming(files, Monitor(files.move, "web1"), "m1", options, _unasked)
    assert incoming.arrives_at == address
