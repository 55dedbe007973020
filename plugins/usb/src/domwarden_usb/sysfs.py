"""The USB devices of this host, as Linux shows them in /sys/bus/usb."""

from __future__ import annotations

import asyncio
from pathlib import Path

from domwarden.contract import JobContext, JobResult, Refusal

DEVICES = Path("/sys/bus/usb/devices")


async def check(numbers: str, _context: JobContext) -> JobResult:
    """Refuse where this host has no such device, or several that nobody could tell apart."""
    count = await asyncio.to_thread(count_of, numbers)
    if count == 0:
        reason = f"there is no USB device {numbers} on this host"
        return Refusal("no-device", reason, "plug one in there, or remove it from the domain")
    if count > 1:
        reason = f"there are {count} USB devices {numbers} on this host"
        return Refusal("which-device", reason, "leave only one of them plugged in")
    return None


def count_of(numbers: str) -> int:
    """Return how many devices have that vendor and product number."""
    vendor, _, product = numbers.partition(":")
    found = 0
    for device in DEVICES.glob("*"):
        try:
            here = [(device / name).read_text().strip() for name in ("idVendor", "idProduct")]
        except OSError:
            continue  # an interface, or a device that has just gone
        found += here == [vendor, product]
    return found
