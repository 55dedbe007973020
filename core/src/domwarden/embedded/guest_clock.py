"""A clock that can be stopped, with the timers that count on it."""

from __future__ import annotations

from collections.abc import Callable

from domwarden.embedded.timers import TimerQueue


class StoppableClock:
    """Counts the host's nanoseconds while it runs; its timers stand still with it."""

    def __init__(self, start_ns: int, moved_earlier: Callable[[], None]) -> None:
        self.timers = TimerQueue(moved_earlier)
        self._stopped_at_ns: int | None = start_ns
        self._offset_ns = 0

    def now_ns(self, host_ns: int) -> int:
        """Return its time when the host's is ``host_ns``."""
        if self._stopped_at_ns is not None:
            return self._stopped_at_ns
        return host_ns - self._offset_ns

    def run(self, running: bool, host_ns: int) -> None:
        """Let it run or stop it; idempotent."""
        if running and self._stopped_at_ns is not None:
            self._offset_ns = host_ns - self._stopped_at_ns
            self._stopped_at_ns = None
        elif not running and self._stopped_at_ns is None:
            self._stopped_at_ns = host_ns - self._offset_ns

    def set(self, now_ns: int) -> None:
        """Set a stopped clock, as a restored machine does."""
        if self._stopped_at_ns is None:
            raise ValueError("a clock that runs is not set")
        self._stopped_at_ns = now_ns

    def next_host_ns(self) -> int | None:
        """Return the host's time of the next deadline; None while stopped."""
        if self._stopped_at_ns is not None:
            return None
        at_ns = self.timers.next_ns()
        return None if at_ns is None else at_ns + self._offset_ns

    def fire_next(self, host_ns: int) -> None:
        """Fire the first timer due at the host's time."""
        timer = self.timers.pop_due(host_ns - self._offset_ns)
        if timer is not None:
            timer.fire()
