"""What may pass between the two ends of a device."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from domwarden.contract import TICKET_LIMIT_BYTES


def ticket_fault(ticket: object) -> str | None:
    """Return why a job's return value is no ticket, as the end of a sentence, or None."""
    if not isinstance(ticket, Mapping):
        return f"returned {type(ticket).__name__}, not a mapping, a refusal or None"
    try:
        text = json.dumps(ticket, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return f"returned a ticket that is not JSON: {error}"
    size = len(text.encode())
    if size > TICKET_LIMIT_BYTES:
        return f"returned a ticket of {size} bytes; at most {TICKET_LIMIT_BYTES} are allowed"
    if json.loads(text) != ticket:
        # Tuples, integer keys and their like would reach the other end as something else.
        return (
            "returned a ticket that JSON changes on the way (tuples, or keys that are no strings)"
        )
    return None


def plain(ticket: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a ticket that shares nothing with the driver that gave it."""
    copied: dict[str, Any] = json.loads(json.dumps(ticket))
    return copied
