"""The two-stage timer of the i6300esb card."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable

from domwarden.contract import Armed, Reading, Timer

#: One tick of the PCI clock (33 MHz) in ns, as QEMU rounds it.
TICK_NS = 30
#: The preloads are 20 bits wide.
PRELOAD_MASK = 0xFFFFF
NS = 1_000_000_000

_FIELDS = struct.Struct(">6?IIBB?Bqq")
_VERSION = 1


@dataclasses.dataclass
class TimerState:
    """What the registers hold; the values are those after a reset."""

    reboot_enabled: bool = True
    #: 1 MHz instead of 1 kHz.
    fast_clock: bool = False
    interrupt_type: int = 0
    free_run: bool = False
    locked: bool = False
    enabled: bool = False
    timer1: int = PRELOAD_MASK
    timer2: int = PRELOAD_MASK
    stage: int = 1
    #: How far the guest is with 0x80, 0x86: 0, 1 or 2.
    unlock: int = 0


class TwoStageTimer:
    """Counts timer 1, then timer 2, then fires; Intel 6300ESB datasheet (300641), 15.

    ``expire`` is told once a firing.  The card is back in its reset state by then, so a machine
    that is reset within the call may arm it anew.
    """

    def __init__(
        self,
        now_ns: Callable[[], int],
        make_timer: Callable[[Callable[[], None]], Timer],
        expire: Callable[[str], None],
    ) -> None:
        self.state = TimerState()
        #: Survives every reset: the last reboot came from this card.
        self.previous_reboot = False
        self._now_ns = now_ns
        self._timer = make_timer(self._ran_out)
        self._expire = expire
        self._kicked_ns = 0

    @property
    def deadline_ns(self) -> int | None:
        """When the present stage ends, or None while nothing counts."""
        return self._timer.deadline_ns

    def stage_ns(self, stage: int) -> int:
        """Return how long a stage lasts with the present preloads and clock."""
        preload = self.state.timer1 if stage == 1 else self.state.timer2
        return (preload << (5 if self.state.fast_clock else 15)) * TICK_NS

    def kick(self) -> None:
        """Start again at stage 1, if the card is enabled."""
        if self.state.enabled:
            self._kicked_ns = self._now_ns()
            self._start(1)

    def enable(self, *, enabled: bool) -> None:
        """Set the enable bit: a change to 1 starts the timer, any 0 stops it."""
        was, self.state.enabled = self.state.enabled, enabled
        if enabled and not was:
            self.kick()
        elif not enabled:
            self._timer.cancel()

    def reset(self) -> None:
        """Stop and take the values after a reset; the previous-reboot flag stays."""
        self._timer.cancel()
        self.state = TimerState()

    def reading(self) -> Reading:
        """Return the timer as the host may see it; one whose reboot is disabled guards nothing."""
        deadline = self._timer.deadline_ns
        if deadline is None or not self.state.reboot_enabled:
            return Reading(armed=Armed.DISARMED)
        left = deadline - self._now_ns() + (self.stage_ns(2) if self.state.stage == 1 else 0)
        return Reading(
            armed=Armed.ARMED,
            time_left_seconds=max(0, left) / NS,
            timeout_seconds=(self.stage_ns(1) + self.stage_ns(2)) / NS,
            last_kick_seconds_ago=max(0, self._now_ns() - self._kicked_ns) / NS,
        )

    def save(self) -> bytes:
        """Return the state as bytes; times are relative to now, so they count on over there."""
        state = self.state
        deadline, now_ns = self._timer.deadline_ns, self._now_ns()
        left_ns, kicked_ago_ns = (
            (0, 0) if deadline is None else (deadline - now_ns, now_ns - self._kicked_ns)
        )
        return bytes([_VERSION]) + _FIELDS.pack(
            state.reboot_enabled,
            state.fast_clock,
            state.free_run,
            state.locked,
            state.enabled,
            self.previous_reboot,
            state.timer1,
            state.timer2,
            state.stage,
            state.unlock,
            deadline is not None,
            state.interrupt_type,
            left_ns,
            kicked_ago_ns,
        )

    def load(self, data: bytes) -> None:
        """Take what :meth:`save` returned; raises ValueError for anything else."""
        if data[:1] != bytes([_VERSION]) or len(data) != 1 + _FIELDS.size:
            raise ValueError(f"not a state of this card: {len(data)} bytes, version {data[:1]!r}")
        (reboot, fast, free_run, locked, enabled, previous, timer1, timer2, stage, unlock, counts,
         interrupt, left_ns, kicked_ago_ns) = _FIELDS.unpack(data[1:])  # fmt: skip
        if stage not in (1, 2) or unlock > 2 or max(timer1, timer2) > PRELOAD_MASK:
            raise ValueError("the state of this card holds impossible values")
        self.state = TimerState(
            reboot, fast, interrupt, free_run, locked, enabled, timer1, timer2, stage, unlock
        )
        self.previous_reboot = previous
        self._kicked_ns = self._now_ns() - kicked_ago_ns
        if counts:
            self._timer.set(self._now_ns() + left_ns)
        else:
            self._timer.cancel()

    def _start(self, stage: int) -> None:
        self.state.stage = stage
        self._timer.set(self._now_ns() + self.stage_ns(stage))

    def _ran_out(self) -> None:
        state = self.state
        if state.stage == 1:
            self._start(2)  # the interrupt at this point is not wired on QEMU's card either
        elif state.reboot_enabled:
            self.previous_reboot = True
            self.reset()
            self._expire("both stages of the card ran out")
        elif state.free_run:
            self._start(1)
            if not (state.timer1 or state.timer2):
                # Nothing would ever come between two rounds; QEMU's own loop spins here.
                self._timer.set(self._now_ns() + (TICK_NS << (5 if state.fast_clock else 15)))
