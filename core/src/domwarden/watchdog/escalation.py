"""When the usual action becomes a reboot loop, another one replaces it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from domwarden.contract.definition import WatchdogEntry
from domwarden.contract.watchdog import Action, Expiry


def response(
    entry: WatchdogEntry,
    expiries: Iterable[Expiry],
    now: float,
    supervised: Collection[Action] = (),
) -> Action | None:
    """Return what the supervisor still has to do after an expiry at ``now`` (Unix seconds).

    ``expiries`` is the history with the newest one in it.  The hypervisor has already performed the
    entry's own action, or its beginning if that is one of ``supervised`` (``Engine.SUPERVISED``);
    an escalation comes on top of it.
    """
    rule = entry.escalate
    if rule is not None:
        recent = sum(1 for expiry in expiries if now - rule.within_seconds < expiry.at <= now)
        if recent >= rule.after:
            return rule.action
    return entry.action if entry.action in supervised else None
