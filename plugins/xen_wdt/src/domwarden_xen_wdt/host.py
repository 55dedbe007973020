"""The driver ``xen`` of the guard: Xen's timer of the domain in which the guard runs, dom0."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import voluptuous as vol

from domwarden.contract import DomwardenError, HostWatchdog, path
from domwarden_xen_wdt.errors import UnknownTimer
from domwarden_xen_wdt.hypercall import PRIVCMD, Hypercall

logger = logging.getLogger(__name__)

#: A new timer gets so much until its id is on record, so that a guard which dies between the two
#: leaves no timer behind that nobody can kick.
LONG_SECONDS = 10 * 365 * 86400

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class XenHostWatchdog(HostWatchdog):
    """One of the domain's two timers; its id is on record, so that the next guard takes it over."""

    SCHEMA: ClassVar[Mapping[Any, Any]] = {
        vol.Optional("device", default=str(PRIVCMD), description="The device of hypercalls."): path
    }

    def __init__(
        self,
        options: Mapping[str, Any],
        state_directory: Path,
        connect: Callable[[Path], Hypercall] = Hypercall,
    ) -> None:
        super().__init__(options, state_directory)
        self._connect = connect
        self._call: Hypercall | None = None
        self._timer = 0
        self._timeout_seconds = 0

    def arm(self, timeout_seconds: int) -> int:
        """Take over the timer on record, or start a new one; Xen grants any time-out."""
        call = self._connected()
        self._timeout_seconds = timeout_seconds
        self._timer = self._timer or self._recorded()
        if not (self._timer and self._kick(call, self._timer)):
            self._timer = call.arm(LONG_SECONDS)
            self._record(self._timer)
            call.kick(self._timer, timeout_seconds)
        return timeout_seconds

    def kick(self) -> None:
        """Kick it; a timer that somebody freed is replaced by a new one."""
        if not self._kick(self._connected(), self._timer):
            lost = self._timer
            self._timer = 0
            self.arm(self._timeout_seconds)
            logger.warning("Xen's timer %d was gone, armed %d instead", lost, self._timer)

    def hand_over(self, timeout_seconds: int) -> None:
        """Give the shutdown that long, as xenwatchdogd does on TERM; the timer stays on record."""
        self.arm(timeout_seconds)
        self._let_go()

    def disarm(self) -> None:
        """Stop it, as xenwatchdogd does on USR1."""
        call = self._connected()
        if self._timer:
            try:
                call.disarm(self._timer)
            except UnknownTimer:
                pass  # it is gone already
        self._file.unlink(missing_ok=True)
        self._timer = 0
        self._let_go()

    @property
    def _file(self) -> Path:
        return self.state_directory / "timer.json"

    def _connected(self) -> Hypercall:
        if self._call is None:
            self._call = self._connect(Path(self.options.get("device", PRIVCMD)))
        return self._call

    def _kick(self, call: Hypercall, timer: int) -> bool:
        try:
            call.kick(timer, self._timeout_seconds)
        except UnknownTimer:
            return False
        return True

    def _let_go(self) -> None:
        if self._call is not None:
            self._call.close()
            self._call = None

    def _recorded(self) -> int:
        """Return the timer that an earlier guard left in this boot of the machine, or 0."""
        try:
            found = json.loads(self._file.read_text())
            mine = found["boot"] == _boot()
            return int(found["timer"]) if mine and found["timer"] in (1, 2) else 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0  # none, or one that a crash of the machine cut

    def _record(self, timer: int) -> None:
        new = self._file.with_suffix(".new")
        try:
            new.write_text(json.dumps({"timer": timer, "boot": _boot()}))
            new.replace(self._file)
        except OSError as error:
            raise DomwardenError(f"{self._file}: {error.strerror}") from error


def _boot() -> str:
    return _BOOT_ID.read_text().strip()
