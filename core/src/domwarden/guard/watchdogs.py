"""All watchdogs of this machine as one: armed, kicked and let go of together."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from domwarden.config import GuardFile, HostWatchdogEntry
from domwarden.contract import (
    DomwardenError,
    DriverError,
    HostWatchdog,
    WatchdogAbsentError,
)
from domwarden.plugins import Kind, load, offers
from domwarden.plugins.lines import one_line

logger = logging.getLogger(__name__)

Make = Callable[[HostWatchdogEntry, Path], HostWatchdog]


def make(entry: HostWatchdogEntry, state_directory: Path) -> HostWatchdog:
    """Return the driver's object; raises DriverError."""
    directory = state_directory / entry.driver
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    made: HostWatchdog = load(Kind.HOST_WATCHDOG, entry.driver).cls(entry.options, directory)
    return made


def chosen(settings: GuardFile) -> tuple[HostWatchdogEntry, ...]:
    """Return the watchdogs to use: those of the file, or every driver that is installed."""
    if settings.watchdogs is not None:
        return settings.watchdogs
    found = []
    for name in sorted({offer.name for offer in offers(Kind.HOST_WATCHDOG)}):
        try:
            options = defaults(name)
        except DriverError as error:
            logger.warning("watchdog %s is not used: %s", name, error)
        else:
            found.append(HostWatchdogEntry(name, settings.timeout_seconds, options=options))
    return tuple(found)


def defaults(driver: str) -> dict[str, object]:
    """Return what a driver's SCHEMA makes of no options."""
    import voluptuous  # here, because `domwarden --help` must not pay for it

    made: dict[str, object] = voluptuous.Schema(load(Kind.HOST_WATCHDOG, driver).cls.SCHEMA)({})
    return made


@dataclasses.dataclass
class Armed:
    """A watchdog that counts, and what was last wrong with kicking it."""

    entry: HostWatchdogEntry
    driver: HostWatchdog
    granted_seconds: int
    trouble: str = ""


class Watchdogs:
    """The watchdogs that this guard has armed, by their drivers' names."""

    def __init__(self, state_directory: Path, make: Make = make) -> None:
        self._state_directory = state_directory
        self._make = make
        self._armed: dict[str, Armed] = {}

    @property
    def granted(self) -> dict[str, int]:
        """The time-outs in seconds as they were granted."""
        return {name: armed.granted_seconds for name, armed in self._armed.items()}

    def arm(self, entries: Iterable[HostWatchdogEntry], interval_seconds: float) -> None:
        """Arm these, or arm them anew, and disarm all others.

        Raises DomwardenError when one that is required cannot be armed, or none can; what was armed
        for the first time is then disarmed again.
        """
        entries = tuple(entries)
        begun: list[str] = []
        try:
            for entry in entries:
                kept = self._armed.get(entry.driver)
                if kept is not None and kept.entry.options != entry.options:
                    self._drop(entry.driver)
                    kept = None
                if self._arm(entry, interval_seconds, kept) and kept is None:
                    begun.append(entry.driver)
            if not any(entry.driver in self._armed for entry in entries):
                raise DomwardenError(
                    "this machine has no watchdog that could be armed",
                    hint="modprobe softdog, or your card's driver; on Xen: modprobe xen-privcmd",
                )
        except DomwardenError:
            for name in begun:
                self._drop(name)
            raise
        for name in set(self._armed) - {entry.driver for entry in entries}:
            self._drop(name)

    def kick(self) -> None:
        """Kick every one, also if another's fails; says so once."""
        for name, armed in self._armed.items():
            trouble = ""
            try:
                armed.driver.kick()
            except DomwardenError as error:
                trouble = str(error)
            except Exception as error:  # noqa: BLE001 - a driver's bug must not end the kicks of others
                trouble = f"its driver has a bug: {one_line(error)}"
            if trouble != armed.trouble:
                logger.warning("watchdog %s: %s", name, trouble or "is kicked again")
                armed.trouble = trouble

    def hand_over(self, timeout_seconds: int) -> None:
        """Let a shutdown have that long."""
        self._let_go(lambda driver: driver.hand_over(timeout_seconds))

    def disarm(self) -> None:
        """Stop every one."""
        self._let_go(lambda driver: driver.disarm())

    def _arm(self, entry: HostWatchdogEntry, interval_seconds: float, kept: Armed | None) -> bool:
        """Arm one; say whether it counts now. One that counts already must not fail."""
        driver = kept.driver if kept else self._make(entry, self._state_directory)
        try:
            granted = driver.arm(entry.timeout_seconds)
            if granted < 2 * interval_seconds:
                if kept is None:
                    driver.disarm()
                hint = f"set the interval to {granted / 2:g} s or less"
                raise DomwardenError(f"grants {granted} s only", hint=hint)
        except DomwardenError as error:
            if entry.required or kept is not None:
                message = f"watchdog {entry.driver}: {error.message}"
                raise DomwardenError(message, hint=error.hint) from error
            level = logging.INFO if isinstance(error, WatchdogAbsentError) else logging.WARNING
            logger.log(level, "watchdog %s is not used: %s", entry.driver, error)
            return False
        logger.info("watchdog %s: armed with %d s", entry.driver, granted)
        self._armed[entry.driver] = Armed(entry, driver, granted)
        return True

    def _drop(self, name: str) -> None:
        armed = self._armed.pop(name)
        try:
            armed.driver.disarm()
            logger.info("watchdog %s: disarmed", name)
        except DomwardenError as error:
            logger.warning("watchdog %s: %s", name, error)

    def _let_go(self, act: Callable[[HostWatchdog], None]) -> None:
        for name, armed in self._armed.items():
            try:
                act(armed.driver)
            except DomwardenError as error:
                logger.warning("watchdog %s: %s", name, error)
        self._armed.clear()
