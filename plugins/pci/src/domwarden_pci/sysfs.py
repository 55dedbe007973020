"""The PCI devices of this host, as Linux shows them in /sys/bus/pci."""

from __future__ import annotations

import asyncio
from pathlib import Path

from domwarden.contract import JobContext, JobResult, Refusal

DEVICES = Path("/sys/bus/pci/devices")
#: The kernel driver by which a device is handed to a guest.
VFIO = "vfio-pci"


async def check(address: str, asked: str, _context: JobContext) -> JobResult:
    """Refuse where this host has no such device, or its own kernel uses it."""
    return await asyncio.to_thread(_check, address, asked)


def _check(address: str, asked: str) -> Refusal | None:
    called = address if address == asked else f"{address} (this host's address for {asked})"
    device = DEVICES / address
    if not device.exists():
        remedy = f"map it in the host file: drivers: pci: devices: {{'{asked}': ...}}"
        return Refusal("no-device", f"there is no PCI device {called} on this host", remedy)
    driver = device / "driver"
    bound = driver.resolve().name if driver.exists() else "no driver"
    if bound != VFIO:
        remedy = f"bind {address} to {VFIO} (driverctl set-override {address} {VFIO})"
        return Refusal("device-in-use", f"PCI device {called} is bound to {bound}", remedy)
    return None
