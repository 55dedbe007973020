"""The driver ``xen_wdt``: Xen's own domain watchdog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import voluptuous as vol

from domwarden.contract import (
    Action,
    Definition,
    Domain,
    DriverError,
    Machine,
    Misfit,
    TimerClock,
    hookimpl,
)
from domwarden_xen_wdt.timers import DomainTimers

#: xl.cfg(5), ``on_watchdog``: what xl's monitor does by itself when a domain ended with code 4.
#: What xl has no word for leaves the domain as it is, and the engine goes on from there.
ON_WATCHDOG: Mapping[Action, str] = {
    Action.RESET: "restart",
    Action.POWEROFF: "destroy",
    Action.DUMP: "coredump-restart",
    Action.PAUSE: "preserve",
    Action.SHUTDOWN: "preserve",
    Action.NMI: "preserve",
    Action.NOTIFY: "preserve",
}


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
    ACTIONS: frozenset[Action] = frozenset(ON_WATCHDOG)

    def __init__(self, id: str, options: Mapping[str, Any]) -> None:  # noqa: A002 - the contract's name
        self.id = id
        self.CLOCK = TimerClock(options.get("clock", TimerClock.HOST))

    @classmethod
    def misfits(cls, definition: Definition, options: Mapping[str, Any]) -> Iterator[Misfit]:
        """Yield a clock that the engine's timers do not count."""
        if definition.engine == "xen" and options["clock"] != TimerClock.HOST:
            yield Misfit(
                ("clock",),
                "Xen's timers run on in a stopped domain, clock: guest is not theirs",
                "remove `clock`, or use an emulated card: type: hvm with i6300esb",
            )

    @hookimpl(optionalhook=True)
    def attach(self, domain: Domain, machine: Machine) -> bool:
        """Answer hypercall 29 on an embedded machine."""
        DomainTimers(machine, self.CLOCK).attach(domain.device)
        return True

    @hookimpl(optionalhook=True)
    def xl_config(self, domain: Domain) -> Mapping[str, Any]:
        """Say what xl does after an expiry; every domain of Xen's has the timers already."""
        watchdog = domain.definition.watchdog
        for found in self.misfits(domain.definition, {"clock": str(self.CLOCK)}):
            raise DriverError(f"xen_wdt: {found.what}", hint=found.hint)
        action = Action.RESET if watchdog is None else watchdog.action
        return {"on_watchdog": ON_WATCHDOG[action]}

    @hookimpl
    def describe(self, domain: Domain) -> Mapping[str, Any]:
        """Say which clock counts."""
        return {"clock": str(self.CLOCK)}
