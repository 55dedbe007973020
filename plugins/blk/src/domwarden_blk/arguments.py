"""A disk on QEMU's command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from domwarden.contract import QemuArgument
from domwarden_blk.image import Format
from domwarden_blk.options import Options


def disk_arguments(
    device: str, options: Options, image: Path, *, is_device: bool, arrives: bool
) -> list[QemuArgument]:
    """Return protocol node, format node and virtio card; QEMU guesses nothing.

    ``arrives`` tells that the image is the target of a mirror, which has no backing file.
    https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html#qapidoc-742 (BlockdevOptions)
    """
    common: dict[str, Any] = {
        "read-only": options.readonly,
        "cache": {"direct": options.cache.direct, "no-flush": False},
        "discard": "unmap",
    }
    file = {
        "driver": "host_device" if is_device else "file",
        "node-name": f"{device}-file",
        "filename": str(image),
        **common,
    }
    node = {
        "driver": str(options.format),
        "node-name": device,
        "file": f"{device}-file",
        **common,
    }
    if arrives and options.format is Format.QCOW2:
        node["backing"] = None
    card = {
        "driver": "virtio-blk-pci",
        "id": device,
        "drive": device,
        "write-cache": "off" if options.cache == "directsync" else "on",
    }
    return [
        QemuArgument("blockdev", file),
        QemuArgument("blockdev", node),
        QemuArgument("device", card),
    ]
