"""Whether a watchdog that was armed before a move still is after it."""

from __future__ import annotations

from domwarden.contract.watchdog import Armed


def watchdog_lost(domain: str, before: Armed, after: Armed) -> str | None:
    """Return what to tell a person about a timer that was lost, or None.

    Only what an engine saw counts: ``unknown``, on either side, says nothing. From outside, a timer
    that its guest disarmed meanwhile, or that fired, looks the same, so the words leave that open.
    """
    if before is Armed.ARMED and after is Armed.DISARMED:
        return (
            f"watchdog-lost: the watchdog of {domain} was armed before the move and is not any"
            " more; unless the guest disarmed it or it fired, nothing guards the domain"
        )
    return None
