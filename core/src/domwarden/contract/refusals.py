"""Why a domain cannot move."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Refusal:
    """One reason against a move, in words an operator can act on.

    ``code`` is short and stable (``local-disk``, ``no-bridge``), ``reason`` is one sentence,
    ``remedy`` says what to do about it.  ``device`` is the YAML id of the device and ``host`` the
    host that said so; whoever asked fills in both when they are empty.
    """

    code: str
    reason: str
    remedy: str
    device: str = ""
    host: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the refusal as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Refusal:
        """Rebuild a refusal from what :meth:`as_json` returned."""
        return cls(
            **{field.name: str(data.get(field.name, "")) for field in dataclasses.fields(cls)}
        )
