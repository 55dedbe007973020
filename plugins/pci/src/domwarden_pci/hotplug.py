"""Taking a PCI device out of a running guest, which has to let go of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domwarden.contract import Domain, Hotplug, JobContext, PermanentError

#: How long recovery waits for a guest that may be letting go of the device just now.
LATE_SECONDS = 2.0


async def unplug(
    domain: Domain, device_id: str, timeout_seconds: float, context: JobContext
) -> None:
    """Ask the guest to let go of the device; PermanentError when it refuses or takes longer."""
    context.report(f"waiting for the guest to let go of {device_id}")
    if not await Hotplug(domain, device_id).unplug(timeout_seconds):
        raise PermanentError(
            f"the guest did not let go of {device_id} in {timeout_seconds:g} s",
            hint="see that its kernel runs and knows PCI hotplug, or shut it down",
        )


async def plug(
    domain: Domain, device_id: str, value: Mapping[str, Any], context: JobContext
) -> None:
    """Put the device in, at the place that the live definition has for it."""
    placed = dict(value)
    for entry in domain.definition.live.get("devices", ()):
        if entry.get("id") == device_id and "addr" in entry:
            placed["addr"] = entry["addr"]
    context.report(f"plugging in {device_id}")
    await Hotplug(domain, device_id).plug(placed)


async def put_back(
    domain: Domain, device_id: str, value: Mapping[str, Any], context: JobContext
) -> None:
    """Put the device back in after an unplugging that may have been interrupted anywhere.

    A guest that was asked cannot be told otherwise: it may let go a little later.
    """
    if await Hotplug(domain, device_id).left(LATE_SECONDS):
        await plug(domain, device_id, value, context)
