"""Names that follow from what a card is, so that every process finds the same ones."""

from __future__ import annotations

import hashlib

from domwarden.contract import Domain


def mac_of(domain: Domain) -> str:
    """Return the MAC of a card that was given none: 52:54:00 (QEMU's prefix), then its own part.

    It follows from the domain's uuid and the device's id, so it is the same on every host.
    """
    part = _digest(domain.definition.uuid, domain.device)[:3]
    return ":".join(f"{byte:02x}" for byte in (0x52, 0x54, 0x00, *part))


def tap_of(domain: Domain) -> str:
    """Return the name of the card's tap on this host, 14 letters.

    The host is part of it: two hosts in one network namespace have one each.
    """
    host = domain.host
    return (
        "dw" + _digest(str(host.state_directory), domain.definition.uuid, domain.device).hex()[:12]
    )


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()
