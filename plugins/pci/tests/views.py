"""Views of a domain, as hooks get them."""

import dataclasses
from pathlib import Path
from typing import Any

from domwarden.contract import Definition, Domain, End, Host, Movement, QemuControl

LIVE = {"devices": [{"driver": "nvme", "id": "fast", "addr": "0x5"}]}


def view(
    end: End = End.SOURCE,
    *,
    qemu: QemuControl | None = None,
    devices: dict[str, str] | None = None,
    **more: Any,
) -> Domain:
    settings = {"pci": {"devices": devices}} if devices else {}
    definition = Definition("web1", "u", "qemu", 2**28, live=LIVE)
    base = Domain(
        definition,
        Host("a", Path("state"), settings),
        end,
        device="fast",
        running=True,
        movement=Movement.MIGRATE,
        controls=lambda protocol: qemu if protocol is QemuControl else None,
    )
    return dataclasses.replace(base, **more)
