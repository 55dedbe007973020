"""What one verb did to a domain in a :class:`~domwarden.testing.world.MoveWorld`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from domwarden.contract import DomwardenError, Refusal, RefusedError, RunState, Ticket
from domwarden.migration import Timeline, What
from domwarden.testing.recording import Call


@dataclasses.dataclass(frozen=True)
class Journey:
    """The calls and jobs of a verb in order, its timeline, and how it ended.

    ``result`` is the verb's own (Moved, Saved, Restored; after a kill a list of Settled), ``error``
    what it raised instead, ``states`` what each host had of the domain afterwards.
    """

    result: Any
    error: DomwardenError | None
    calls: tuple[Call, ...]
    timeline: Timeline
    states: Mapping[str, RunState]

    @property
    def arrived(self) -> bool:
        """Whether the verb did what it is for."""
        return self.error is None

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Every reason why the domain may not move."""
        return self.error.refusals if isinstance(self.error, RefusedError) else ()

    @property
    def codes(self) -> list[str]:
        """The codes of the refusals."""
        return [refusal.code for refusal in self.refusals]

    @property
    def alarms(self) -> list[str]:
        """What failed without stopping anything: recovery, finish, close."""
        moments = self.timeline.moments
        return [moment.detail for moment in moments if moment.what is What.ALARM]

    def order(self, device: str) -> list[str]:
        """Return where that device's hooks answered with something, and its jobs, in order.

        Each is ``HOST HOOK STEP``; hooks that answered None, and ``describe``, are left out.
        """
        return [
            str(call)
            for call in self.calls
            if call.device == device and call.answer and call.hook != "describe"
        ]

    def tickets(self, device: str) -> list[Ticket]:
        """Return the tickets that the device's jobs gave, on both ends, in order."""
        mine = (call.result for call in self.calls if call.device == device)
        return [result for result in mine if isinstance(result, Mapping)]

    def call(self, device: str, hook: str, step: str = "") -> Call:
        """Return the last call of that hook; raises KeyError when there was none."""
        for call in reversed(self.calls):
            if (call.device, call.hook, call.step) == (device, hook, step):
                return call
        raise KeyError(f"{device} {hook} {step}".strip())

    def __str__(self) -> str:
        calls = "\n".join(
            f"  {call} {call.device}: {call.answer} {call.error}".rstrip() for call in self.calls
        )
        return f"{self.error or self.result}\n{calls}\n  {dict(self.states)}"
