"""The driver ``xen_wdt``: Xen's own domain watchdog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import voluptuous as vol

from domwarden.contract import Action, Domain, Machine, TimerClock, hookimpl
from domwarden_xen_wdt.timers import DomainTimers


class XenWdt:
    """Two timers a domain behind SCHEDOP_watchdog; see the README for what ``clock`` means."""

    contract = 1
    SCHEMA: Mapping[Any, Any] = {
        vol.Optional("clock", default=str(TimerClock.HOST)): vol.In(
            [str(TimerClock.HOST), str(TimerClock.GUEST)]
        ),
    }
    #: Xen's; an object that was told ``clock: guest`` says so.
    CLOCK: TimerClock = TimerClock.HOST
    ACTIONS: frozenset[Action] = frozenset(Action)

    def __init__(self, id: str, options: Mapping[str, Any]) -> None:  # noqa: A002 - the contract's name
        self.id = id
        self.CLOCK = TimerClock(options.get("clock", TimerClock.HOST))

    @hookimpl(optionalhook=True)
    def attach(self, domain: Domain, machine: Machine) -> bool:
        """Answer hypercall 29 on an embedded machine."""
        DomainTimers(machine, self.CLOCK).attach(domain.device)
        return True

    @hookimpl
    def describe(self, domain: Domain) -> Mapping[str, Any]:
        """Say which clock counts."""
        return {"clock": str(self.CLOCK)}
