"""A disk's part of QEMU's command line, compared with golden files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from domwarden.contract import End, Host

from .helpers import Side

GOLDEN = Path(__file__).parent / "golden"
HOST = Host("b", Path("/state"), {"blk": {"directories": {"/srv/a": "/srv/b"}}})


@pytest.mark.parametrize(
    ("name", "end", "options"),
    [
        ("raw", End.SOURCE, {"source": "/srv/disk.img"}),
        ("qcow2", End.SOURCE, {"source": "/srv/disk.qcow2", "placement": "mirror"}),
        ("arrives", End.DESTINATION, {"source": "/srv/a/disk.qcow2", "placement": "mirror"}),
        (
            "shared_device",
            End.DESTINATION,
            {"source": "/dev/mapper/lun", "placement": "shared", "cache": "directsync"},
        ),
        ("readonly", End.SOURCE, {"source": "/srv/cd.iso", "readonly": True, "cache": "writeback"}),
    ],
)
def test_a_command_line_is_the_golden_one(name: str, end: End, options: dict[str, Any]) -> None:
    """Nothing about a disk is left to QEMU's guess."""
    side = Side(end, HOST, options)
    made = [{a.option: dict(a.value)} for a in side.qemu_args()]
    golden = GOLDEN / f"{name}.json"
    assert json.loads(golden.read_text()) == made
