"""One of a domain's watchdog timers."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import ClassVar

from domwarden.contract import Machine, TimerClock

NS = 1_000_000_000


class Slot:
    """A timer with its pre-time-out; a kick sets two deadlines, however many timers there are."""

    #: In use, action, time-out and pre-time-out in seconds, then what is left until the expiry and
    #: the pre-time-out and what has passed since the last kick, in ns; -1: not set.
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BBIIqqq")

    def __init__(
        self,
        machine: Machine,
        clock: TimerClock,
        expire: Callable[[], None],
    ) -> None:
        self._machine = machine
        self._clock = clock
        self._timer = machine.timer(expire, clock)
        self._early = machine.timer(lambda: machine.notify_guest("pretimeout"), clock)
        self._kicked_ns = 0
        self.used = False
        self.timeout_seconds = 0
        self.pretimeout_seconds = 0
        self.action = 0

    @property
    def left_ns(self) -> int | None:
        """Nanoseconds until it expires; None while it is not armed."""
        deadline = self._timer.deadline_ns
        return None if deadline is None else max(0, deadline - self._now_ns())

    @property
    def since_kick_ns(self) -> int:
        """Nanoseconds since it was last armed."""
        return self._now_ns() - self._kicked_ns

    def arm(self, timeout_seconds: int) -> None:
        """Count from now; a time-out of zero expires at once."""
        self.used = True
        self.timeout_seconds = timeout_seconds
        self._kicked_ns = self._now_ns()
        deadline = self._kicked_ns + timeout_seconds * NS
        self._timer.set(deadline)
        if self.pretimeout_seconds:
            self._early.set(deadline - self.pretimeout_seconds * NS)

    def set_pretimeout(self, seconds: int) -> None:
        """Interrupt the guest that long before the expiry; 0: never."""
        self.pretimeout_seconds = seconds
        deadline = self._timer.deadline_ns
        if seconds and deadline is not None:
            self._early.set(deadline - seconds * NS)
        else:
            self._early.cancel()

    def free(self) -> None:
        """Stop it and forget what it was told."""
        self._timer.cancel()
        self._early.cancel()
        self.used = False
        self.timeout_seconds = self.pretimeout_seconds = self.action = 0

    def save(self) -> bytes:
        """Return its state: what is left, not when it is due, for clocks differ between hosts."""
        early = self._early.deadline_ns
        left = self.left_ns
        return self.LAYOUT.pack(
            self.used,
            self.action,
            self.timeout_seconds,
            self.pretimeout_seconds,
            -1 if left is None else left,
            -1 if early is None else max(0, early - self._now_ns()),
            self.since_kick_ns if self.used else 0,
        )

    def load(self, data: bytes) -> None:
        """Take over a state; the time that is left counts from this clock's present time."""
        used, self.action, self.timeout_seconds, self.pretimeout_seconds, left, early, since = (
            self.LAYOUT.unpack(data)
        )
        self.used = bool(used)
        now = self._now_ns()
        self._kicked_ns = now - since
        for timer, rest in ((self._timer, left), (self._early, early)):
            if rest >= 0:
                timer.set(now + rest)
            else:
                timer.cancel()

    def _now_ns(self) -> int:
        return self._machine.clock_ns(self._clock)
