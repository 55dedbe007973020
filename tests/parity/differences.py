"""Where engines differ from each other, on purpose or for want; docs/parity.md tells each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from domwarden.testing.engines import Feature

from .scenarios import EXPIRED

#: What of the engines' contract suite a real engine's bench lacks.
MISSING: Mapping[str, tuple[Feature, ...]] = {
    "embedded": (),
    "qemu": (Feature.GRACEFUL_STOP,),
    "xen": (Feature.GRACEFUL_STOP, Feature.PAUSED_CLOCK),
}


@dataclasses.dataclass(frozen=True)
class Difference:
    """One scenario's name, and what the embedded engine answers there."""

    scenario: str
    embedded: Sequence[Any]


DIFFERENCES = (
    Difference("id_after_a_restore", [0, 2]),
    Difference("guarded_after_a_restore", [EXPIRED]),
    Difference("call_after_an_expiry", [0]),
    Difference("added_operations", [1]),
)
