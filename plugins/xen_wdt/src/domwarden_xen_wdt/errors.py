"""What Xen answers to a call of its watchdog, by name.

::

    DomwardenError
    ├── WatchdogAbsentError
    │   └── NoXen            there is no /dev/xen/privcmd: this machine is no domain of Xen's
    └── HypercallError       any other error; .number is the errno
        ├── NoSlot           ENOSPC: both timers of the domain are in use
        ├── UnknownTimer     EINVAL: an id above 2, or one that is not in use
        └── NotPermitted     EPERM: the kernel, or its device file, refuses
"""

from __future__ import annotations

import os
from pathlib import Path

from domwarden.contract import DomwardenError, WatchdogAbsentError


class NoXen(WatchdogAbsentError):
    """The kernel has no device for hypercalls."""

    def __init__(self, device: Path) -> None:
        super().__init__(f"there is no {device}", hint="on Xen: modprobe xen-privcmd")


class HypercallError(DomwardenError):
    """A hypercall failed; ``number`` is the errno."""

    HINT = ""

    def __init__(self, what: str, number: int) -> None:
        super().__init__(f"{what}: {os.strerror(number)}", hint=self.HINT)
        self.number = number


class NoSlot(HypercallError):
    """Both timers of the domain are in use (ENOSPC)."""

    HINT = "a domain has two timers; disarm one, or stop the program that holds it"


class UnknownTimer(HypercallError):
    """No timer in use has that id (EINVAL): it was freed, or the domain was restored or moved."""

    HINT = "save, restore and migration drop a domain's timers; arm a new one"


class NotPermitted(HypercallError):
    """The kernel blocks the hypercall, or the device file is not ours (EPERM, EACCES)."""

    HINT = (
        "be root; in a guest load xen-privcmd with unrestricted=1 (on the kernel's command line"
        " xen_privcmd.unrestricted=1)"
    )
