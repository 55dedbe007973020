"""What Xen's watchdog does, written down once more and differently, to compare with.

Time is a plain number that the test passes in; nothing is scheduled, expiries are found by looking.
"""


class Reference:
    """The table of SCHEDOP_watchdog, over a list of [time-out, deadline] by id."""

    def __init__(self):
        self.timers = {}

    def watchdog(self, now, number, timeout):
        if number > 2:
            return -22
        if number == 0:
            free = [candidate for candidate in (1, 2) if candidate not in self.timers]
            if not free:
                return -28
            self.timers[free[0]] = [timeout, now + timeout]
            return free[0]
        if number not in self.timers:
            return -22
        if timeout == 0:
            del self.timers[number]
        else:
            self.timers[number] = [timeout, now + timeout]
        return 0

    def left(self, now, number):
        if number not in self.timers:
            return -22
        deadline = self.timers[number][1]
        return 0 if deadline is None else round((deadline - now) * 1000)

    def expired(self, now):
        """The ids that fire up to now, the earliest first; each fires once and keeps its id."""
        due = sorted(
            (deadline, number)
            for number, (_, deadline) in self.timers.items()
            if deadline is not None and deadline <= now
        )
        for _, number in due:
            self.timers[number][1] = None
        return [number for _, number in due]

    def shift(self, seconds):
        """The clock stood still for that long."""
        for timer in self.timers.values():
            if timer[1] is not None:
                timer[1] += seconds
