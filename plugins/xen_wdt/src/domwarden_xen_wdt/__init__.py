"""The watchdog inside the hypervisor."""

from domwarden_xen_wdt.driver import XenWdt
from domwarden_xen_wdt.errors import HypercallError, NoSlot, NotPermitted, NoXen, UnknownTimer
from domwarden_xen_wdt.hypercall import Hypercall

__all__ = [
    "Hypercall",
    "HypercallError",
    "NoSlot",
    "NoXen",
    "NotPermitted",
    "UnknownTimer",
    "XenWdt",
]
