"""What a card's hooks do when they act."""

from __future__ import annotations

from domwarden.contract import (
    Domain,
    EmbeddedControl,
    JobContext,
    JobResult,
    PermanentError,
    QemuControl,
    Refusal,
)
from domwarden_net import links

#: Five announcements within two seconds, as QEMU's documentation of announce-self advises.
ROUNDS = {"initial": 50, "max": 550, "rounds": 5, "step": 50}


async def check_bridge(bridge: str, asked: str, _context: JobContext) -> JobResult:
    """Refuse where this host has no such bridge."""
    found = await links.is_bridge(bridge)
    if found:
        return None
    called = bridge if bridge == asked else f"{bridge} (this host's name for {asked})"
    remedy = f"make the bridge, or map it in the host file: drivers: net: bridges: {{{asked}: ...}}"
    if found is None:
        return Refusal("no-bridge", f"there is no bridge {called} on this host", remedy)
    return Refusal("not-a-bridge", f"the interface {called} is not a bridge", remedy)


async def make_tap(name: str, bridge: str, _context: JobContext) -> JobResult:
    """Make the card's tap in a bridge that is there; leave nothing half made."""
    if not await links.is_bridge(bridge):
        raise PermanentError(f"there is no bridge {bridge} on this host")
    try:
        await links.make_tap(name, bridge)
    except PermanentError:
        await links.delete(name)
        raise
    return None


async def delete_tap(name: str, _context: JobContext) -> JobResult:
    """Delete the card's tap."""
    await links.delete(name)
    return None


async def announce(domain: Domain, _context: JobContext) -> JobResult:
    """Tell switches, and have the guest tell its neighbours, where the card is now."""
    device = domain.device
    if (qemu := domain.control(QemuControl)) is not None:
        # https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html, announce-self
        await qemu.execute("announce-self", {**ROUNDS, "interfaces": [device], "id": device})
    elif (embedded := domain.control(EmbeddedControl)) is not None:
        await embedded.command(device, "announce")
    return None
