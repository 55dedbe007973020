"""Decides at each moment what to check, what to repair, and whether to kick."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from domwarden.config import GuardFile
from domwarden.contract import DomwardenError
from domwarden.guard.checks import Check
from domwarden.guard.command import Running
from domwarden.guard.health import Health
from domwarden.guard.watchdogs import Watchdogs, chosen

logger = logging.getLogger(__name__)

#: While a command is under way it is looked at this often.
POLL_SECONDS = 0.5

Begin = Callable[[Sequence[str], float, float], Running]


class Guard:
    """One guard at work; ``step`` never waits, and time is what its caller says it is.

    The watchdogs are kicked every interval unless a check has failed for good and no repair is left
    to try.  A check that passes again lets kicking go on, if the machine is still there.
    """

    def __init__(self, settings: GuardFile, watchdogs: Watchdogs, begin: Begin = Running) -> None:
        self.watchdogs = watchdogs
        self.settings = settings
        self._begin = begin
        self._next_kick = float("-inf")
        self._withheld = False
        self._take(settings)

    def start(self) -> None:
        """Arm the watchdogs; raises DomwardenError when the guard cannot do its work."""
        self.watchdogs.arm(chosen(self.settings), self.settings.interval_seconds)

    def reload(self, settings: GuardFile) -> None:
        """Go on with other settings; raises DomwardenError and goes on with the old ones."""
        try:
            self.watchdogs.arm(chosen(settings), settings.interval_seconds)
        except DomwardenError:
            self.watchdogs.arm(chosen(self.settings), self.settings.interval_seconds)
            raise
        self.close()
        self.settings = settings
        self._take(settings)

    def step(self, now: float) -> float:
        """Do what is due; return in how many seconds something is due again."""
        for check in self._checks:
            outcome = check.step(now)
            if outcome is not None:
                self._health.hear(check.name, outcome)
        healthy = self._judge(now)
        if now >= self._next_kick:
            self._next_kick = now + self.settings.interval_seconds
            if healthy:
                self.watchdogs.kick()
        return self._pause(now)

    def close(self) -> None:
        """End the commands that are under way; the watchdogs count on."""
        for check in self._checks:
            check.close()
        if self._repair is not None:
            self._repair.close()

    def _take(self, settings: GuardFile) -> None:
        self._checks = [Check(entry, self._begin) for entry in settings.checks]
        self._health = Health({entry.name: entry.retries for entry in settings.checks})
        self._repair: Running | None = None
        self._attempts = 0

    def _judge(self, now: float) -> bool:
        """Say whether to kick; begin or follow a repair where one may help."""
        if self._repair is not None:
            return self._follow_repair(now)
        failed = self._health.failed
        if not failed:
            if self._withheld:
                logger.warning("all checks pass again: the watchdogs are kicked again")
            if self._health.well:
                self._attempts = 0
            self._withheld = False
            return True
        repair = self.settings.repair
        if repair is not None and self._attempts < repair.attempts:
            self._attempts += 1
            logger.warning("%s: running %s", _listed(failed), repair.run[0])
            self._repair = self._begin([*repair.run, *failed], repair.timeout_seconds, now)
            return True
        if not self._withheld:
            self._withheld = True
            logger.critical(
                "%s: the watchdogs are kicked no more, this machine will be reset within %d s",
                _listed(failed),
                max(self.watchdogs.granted.values(), default=0),
            )
        return False

    def _follow_repair(self, now: float) -> bool:
        assert self._repair is not None
        outcome = self._repair.poll(now)
        if outcome is None:
            return True
        self._repair = None
        if outcome.ok:
            logger.warning("repaired: the checks are asked again")
            self._health.forgive()
            for check in self._checks:
                check.due = now
            return True
        logger.warning("the repair failed: %s", outcome.words)
        return self._judge(now)

    def _pause(self, now: float) -> float:
        due = [self._next_kick, *(check.due for check in self._checks if not check.busy)]
        if self._repair is not None or any(check.busy for check in self._checks):
            due.append(now + POLL_SECONDS)
        return max(0.0, min(due) - now)


def _listed(failed: dict[str, str]) -> str:
    return "; ".join(f"check {name}: {words}" for name, words in failed.items())
