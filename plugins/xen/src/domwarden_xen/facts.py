"""What this host's Xen is: its version, and what its processors can do."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

#: The eight words of ``hw_caps`` in ``xl info`` (Xen's x86_capability), by their CPUID leaf.
WORDS = ("1d", "1c", "e1d", "e1c", "Da1", "7b0", "7c0", "e7d")


@dataclasses.dataclass(frozen=True)
class Facts:
    """One host, as plain data of a live definition."""

    xen: str
    #: ``hw_caps``: what the processors of the host offer.
    features: str
    #: ``virt_caps``: ``pv``, ``hvm``, ``hap``, ``shadow``, ...
    virtualization: tuple[str, ...]

    @classmethod
    def of(cls, info: Mapping[str, str]) -> Facts:
        """Return them from ``xl info``."""
        return cls(
            xen=info.get("xen_version", ""),
            features=info.get("hw_caps", ""),
            virtualization=tuple(info.get("virt_caps", "").split()),
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Facts:
        """Return them from a live definition."""
        return cls(
            xen=str(data.get("xen", "")),
            features=str(data.get("features", "")),
            virtualization=tuple(data.get("virtualization", ())),
        )

    def as_json(self) -> dict[str, Any]:
        """Return them as plain data."""
        return {
            "xen": self.xen,
            "features": self.features,
            "virtualization": list(self.virtualization),
        }

    @property
    def series(self) -> str:
        """The version without its last number: 4.17 of 4.17.7."""
        return ".".join(self.xen.split(".")[:2])

    def lacks(self, other: Facts) -> list[str]:
        """Return what the other host's processors have and these have not, as ``7b0:5``."""
        missing = []
        for word, ours, theirs in zip(WORDS, _words(self), _words(other), strict=False):
            more = theirs & ~ours
            missing += [f"{word}:{bit}" for bit in range(32) if more >> bit & 1]
        return missing


def _words(facts: Facts) -> list[int]:
    try:
        return [int(word, 16) for word in facts.features.split(":")]
    except ValueError:
        return []
