"""Where the embedded engine answers otherwise than Xen, on purpose; docs/parity.md tells each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from .scenarios import EXPIRED


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
