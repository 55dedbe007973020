"""Devices that always want the same of QEMU."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from domwarden.contract import Definition, Host, QemuArgument, WatchdogEntry
from domwarden_qemu.capabilities import Capabilities

CARD = QemuArgument("device", {"driver": "i6300esb", "id": "watchdog"})

CAPABILITIES = Capabilities(
    version="7.2.22",
    accel="tcg",
    machines={"pc": "pc-i440fx-7.2", "pc-i440fx-7.2": "pc-i440fx-7.2"},
    cpus={"qemu64": "qemu64-v1", "Nehalem": "Nehalem-v1"},
    pci=["i6300esb", "virtio-blk-pci", "virtio-net-pci"],
)


@dataclasses.dataclass
class FixedRoom:
    """A room whose devices answer with these arguments."""

    answers: dict[str, list[QemuArgument]]

    def ask(self, hook: str, **_arguments: Any) -> dict[str, Any]:
        assert hook == "qemu_args"
        return self.answers


def definition(**changes: Any) -> Definition:
    """Return a small guarded domain, as from its file."""
    made = Definition(
        name="web1",
        uuid="0e4b4b4f-4f0e-4b6e-9a0f-9f1c1a6f3c11",
        engine="qemu",
        memory_bytes=256 * 2**20,
        boot={"kernel": "/guest/kernel", "cmdline": "console=ttyS0 quiet"},
        watchdog=WatchdogEntry("i6300esb"),
    )
    return dataclasses.replace(made, **changes)


def host(root: Path) -> Host:
    """Return a host with its state under a folder."""
    return Host("a", root, {"qemu": {"accel": "tcg"}})
