"""The guest's /dev/watchdog, with the semantics of Linux' watchdog core.

Linux: Documentation/watchdog/watchdog-api.rst.  Results are values or -errno, as system calls'.
"""

from __future__ import annotations

from domwarden.embedded.clock import NS
from domwarden.embedded.guest.hardware import EBUSY, EINVAL, ENODEV, Hardware, Option
from domwarden.embedded.guest.i6300esb import I6300esbDriver
from domwarden.embedded.guest.ib700 import Ib700Driver
from domwarden.embedded.guest.layout import WatchdogState
from domwarden.embedded.guest.xen_wdt import XenWdtDriver
from domwarden.embedded.machine import EmbeddedMachine

#: By WatchdogState.hardware, from 1.
DRIVERS: tuple[Hardware, ...] = (I6300esbDriver(), Ib700Driver(), XenWdtDriver())
DISABLE_CARD = 1
ENABLE_CARD = 2


class WatchdogDevice:
    """A view of the driver's state in a machine's memory; keeps none itself."""

    def __init__(self, machine: EmbeddedMachine) -> None:
        self._machine = machine

    def probe(self, *, nowayout: bool = False) -> None:
        """Find the hardware at boot."""
        state = WatchdogState(nowayout=int(nowayout))
        for number, driver in enumerate(DRIVERS, 1):
            if driver.probe(self._machine, state):
                state.hardware = number
                state.timeout_seconds = driver.default_seconds
                self._machine.console.print(f"watchdog0: {driver.identity}")
                break
        state.store(self._machine.memory)

    @property
    def state(self) -> WatchdogState:
        """The driver's state; raises GuestCorruptError."""
        return WatchdogState.load(self._machine.memory)

    def open(self) -> int:
        """One opener; opening arms."""
        state = self.state
        driver = self._driver(state)
        if driver is None:
            return -ENODEV
        if state.opened:
            return -EBUSY
        error = self._start(state)
        if not error:
            state.opened, state.expect_close = 1, 0
        return self._keep(state, error)

    def write(self, data: bytes) -> int:
        """Any write kicks; a V in the last one allows the close."""
        state = self.state
        state.expect_close = int(b"V" in data)
        self._kick(state)
        return self._keep(state, len(data))

    def close(self) -> int:
        """Disarms after a V; else the timer stays armed, kicked once more."""
        state = self.state
        error = 0
        if state.active:
            error = self._stop(state) if state.expect_close else -EBUSY
        if error:
            self._machine.console.print("watchdog: watchdog0: watchdog did not stop!")
            self._kick(state)
        state.opened = state.expect_close = 0
        return self._keep(state, 0)

    def keepalive(self) -> int:
        """WDIOC_KEEPALIVE."""
        state = self.state
        return self._keep(state, self._kick(state))

    def set_timeout(self, seconds: int) -> int:
        """WDIOC_SETTIMEOUT: returns the value that is really used."""
        state = self.state
        driver = self._driver(state)
        used = driver.fit(seconds) if driver else -ENODEV
        if used < 0 or driver is None:
            return used
        state.timeout_seconds = used
        if state.pretimeout_seconds >= used:
            state.pretimeout_seconds = 0
        driver.program(self._machine, state)
        self._kick(state)
        return self._keep(state, used)

    def set_pretimeout(self, seconds: int) -> int:
        """WDIOC_SETPRETIMEOUT: seconds before the time-out, 0 for none."""
        state = self.state
        driver = self._driver(state)
        if driver is None:
            return -ENODEV
        if not 0 <= seconds < state.timeout_seconds:
            return -EINVAL
        state.pretimeout_seconds = seconds
        driver.program(self._machine, state)
        self._kick(state)
        return self._keep(state, seconds)

    def time_left(self) -> int:
        """WDIOC_GETTIMELEFT: whole seconds, computed in the guest."""
        state = self.state
        left_ns = state.last_kick_ns + state.timeout_seconds * NS - self._machine.clock_ns()
        return max(0, left_ns // NS) if state.active else 0

    def set_options(self, options: int) -> int:
        """WDIOC_SETOPTIONS: DISABLECARD, ENABLECARD."""
        state = self.state
        error = -EINVAL
        if options & DISABLE_CARD:
            error = self._stop(state) if state.active else 0
        elif options & ENABLE_CARD:
            error = 0 if state.active else self._start(state)
        return self._keep(state, error)

    def support(self) -> tuple[str, Option]:
        """WDIOC_GETSUPPORT: identity, options."""
        state = self.state
        driver = self._driver(state)
        if driver is None:
            return "", Option(0)
        more = Option.PRETIMEOUT | Option.CARDRESET if state.extended else Option(0)
        return driver.identity, driver.options | more

    def pretimeout_at_ns(self) -> int | None:
        """Return when the kernel's own pre-time-out is due; None where the hardware raises it."""
        state = self.state
        if not state.active or not state.pretimeout_seconds or state.pretimeout_seen:
            return None
        if state.extended:
            return None
        after = state.timeout_seconds - state.pretimeout_seconds
        return state.last_kick_ns + after * NS

    def pretimeout(self) -> None:
        """Take the pre-time-out: the governor that only logs."""
        state = self.state
        state.pretimeout_seen = 1
        state.store(self._machine.memory)
        self._machine.console.print("watchdog: watchdog0: pretimeout event")

    def _driver(self, state: WatchdogState) -> Hardware | None:
        return DRIVERS[state.hardware - 1] if state.hardware else None

    def _start(self, state: WatchdogState) -> int:
        driver = self._driver(state)
        if driver is None:
            return -ENODEV
        if state.active:  # an unexpected close left it armed: opening again only kicks
            return self._kick(state)
        error = driver.start(self._machine, state)
        if not error:
            state.active = 1
            self._kicked(state)
        return error

    def _stop(self, state: WatchdogState) -> int:
        driver = self._driver(state)
        if state.nowayout or driver is None:
            return -EBUSY
        error = driver.stop(self._machine, state)
        if not error:
            state.active = 0
        return error

    def _kick(self, state: WatchdogState) -> int:
        driver = self._driver(state)
        if driver is None or not state.active:
            return 0
        error = driver.ping(self._machine, state)
        if not error:
            self._kicked(state)
        return error

    def _kicked(self, state: WatchdogState) -> None:
        state.last_kick_ns = self._machine.clock_ns()
        state.pretimeout_seen = 0

    def _keep(self, state: WatchdogState, result: int) -> int:
        state.store(self._machine.memory)
        return result
