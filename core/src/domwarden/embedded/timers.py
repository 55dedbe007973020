"""A queue of timers in which re-arming costs the same however many there are."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class QueuedTimer:
    """One timer; ``set`` to a later deadline touches nothing but the timer itself.

    The heap keeps at most one valid entry a timer, at or before its real deadline; what is found
    too early when it comes to the top goes back in at the deadline.  So a kick, which always moves
    a deadline later, is one comparison and one assignment.
    """

    __slots__ = ("_queue", "deadline_ns", "fire", "queued_ns")

    def __init__(self, queue: TimerQueue, fire: Callable[[], None]) -> None:
        self._queue = queue
        self.fire = fire
        self.deadline_ns: int | None = None
        #: When its valid entry in the heap comes up; None while it has none.
        self.queued_ns: int | None = None

    def set(self, deadline_ns: int) -> None:
        """(Re-)arm it."""
        self.deadline_ns = deadline_ns
        if self.queued_ns is None or deadline_ns < self.queued_ns:
            self._queue.enter(self, deadline_ns)

    def cancel(self) -> None:
        """Disarm it; its entry in the heap is dropped when it comes up."""
        self.deadline_ns = None


class TimerQueue:
    """Timers of one clock in the order of their deadlines; equal ones in the order of arming."""

    def __init__(self, moved_earlier: Callable[[], None] = lambda: None) -> None:
        self._heap: list[tuple[int, int, QueuedTimer]] = []
        self._serial = itertools.count()
        self._moved_earlier = moved_earlier

    def timer(self, fire: Callable[[], None]) -> QueuedTimer:
        """Make a timer that calls ``fire`` at its deadline."""
        return QueuedTimer(self, fire)

    def enter(self, timer: QueuedTimer, at_ns: int) -> None:
        """Put a timer's entry into the heap."""
        timer.queued_ns = at_ns
        heapq.heappush(self._heap, (at_ns, next(self._serial), timer))
        if self._heap[0][2] is timer:
            self._moved_earlier()

    def next_ns(self) -> int | None:
        """Return the earliest deadline, or None."""
        heap = self._heap
        while heap:
            at_ns, _, timer = heap[0]
            if timer.queued_ns != at_ns:  # replaced by an earlier entry
                heapq.heappop(heap)
            elif timer.deadline_ns is None:
                heapq.heappop(heap)
                timer.queued_ns = None
            elif timer.deadline_ns > at_ns:
                timer.queued_ns = timer.deadline_ns
                heapq.heapreplace(heap, (timer.deadline_ns, next(self._serial), timer))
            else:
                return at_ns
        return None

    def pop_due(self, now_ns: int) -> QueuedTimer | None:
        """Take the first timer that is due by ``now_ns``, disarmed; None when there is none."""
        at_ns = self.next_ns()
        if at_ns is None or at_ns > now_ns:
            return None
        timer = heapq.heappop(self._heap)[2]
        timer.queued_ns = timer.deadline_ns = None
        return timer
