"""The watchdog inside the hypervisor."""

from domwarden_xen_wdt.driver import XenWdt

__all__ = ["XenWdt"]
