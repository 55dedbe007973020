"""How long a domain will stand still, judged against the watchdog that guards it."""

from __future__ import annotations

from collections.abc import Iterable

from domwarden.contract import (
    Armed,
    Definition,
    Reading,
    Refusal,
    Ticket,
    TimerClock,
)

#: The key of a TEST ticket that announces how many seconds its device adds to the blackout.
BLACKOUT_KEY = "blackout_seconds"


def predicted_blackout_seconds(definition: Definition, tickets: Iterable[Ticket]) -> float:
    """Return the longest stand-still to expect: the downtime limit and what devices announced.

    Devices work at the same time, so the slowest of them counts.
    """
    announced = [float(ticket.get(BLACKOUT_KEY, 0.0)) for ticket in tickets]
    return definition.migration.downtime_limit_seconds + max(announced, default=0.0)


def watchdog_too_short(
    definition: Definition, clock: TimerClock, reading: Reading, blackout_seconds: float | None
) -> Refusal | None:
    """Refuse a stand-still that would let the watchdog expire; ``None`` seconds: without end.

    Only a timer on the host's clock runs on meanwhile (Xen's: ``xl pause`` does not stop it).
    Guests kick at half of their time-out (xenwatchdogd's default), so half of it is what is surely
    left. A clock that nobody knows counts as the host's.
    """
    if definition.watchdog is None or clock is TimerClock.GUEST:
        return None
    if reading.armed is Armed.DISARMED:
        return None
    timeout = reading.timeout_seconds or definition.watchdog.timeout_seconds
    if blackout_seconds is not None and blackout_seconds < timeout / 2:
        return None
    length = "as long as it is paused" if blackout_seconds is None else f"{blackout_seconds:g} s"
    return Refusal(
        code="watchdog-too-short",
        device="watchdog",
        reason=f"the watchdog's {timeout:g} s run on while the domain stands still ({length})",
        remedy="disarm it in the guest, give it a longer time-out, or lower the downtime limit",
    )
