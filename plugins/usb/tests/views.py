"""Views of a domain, as hooks get them."""

import dataclasses
from pathlib import Path
from typing import Any

from domwarden.contract import Definition, Domain, End, Host, Movement, QemuControl


def view(end: End = End.SOURCE, *, qemu: QemuControl | None = None, **more: Any) -> Domain:
    base = Domain(
        Definition("web1", "u", "qemu", 2**28),
        Host("a", Path("state")),
        end,
        device="player",
        running=True,
        movement=Movement.MIGRATE,
        controls=lambda protocol: qemu if protocol is QemuControl else None,
    )
    return dataclasses.replace(base, **more)
