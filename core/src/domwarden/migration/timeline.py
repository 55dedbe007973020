"""Moments put together to spans of time."""

from __future__ import annotations

import dataclasses

from domwarden.migration.moments import Moment, What

_BEGINNINGS = {What.STEP_BEGUN: What.STEP_ENDED, What.JOB_BEGUN: What.JOB_ENDED}
_ENDINGS = set(_BEGINNINGS.values())


@dataclasses.dataclass(frozen=True)
class Span:
    """A step (``device`` is empty) or a device's job, with Unix times in seconds."""

    step: str
    device: str
    end: str
    host: str
    begun_at: float
    ended_at: float
    failed: bool = False
    detail: str = ""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended_at - self.begun_at


class Timeline:
    """An observer that keeps every moment."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []

    def __call__(self, moment: Moment) -> None:
        """Hear one moment."""
        self.moments.append(moment)

    @property
    def begun_at(self) -> float:
        """Unix time of the first moment; 0 before there is one."""
        return min((moment.at for moment in self.moments), default=0.0)

    @property
    def ended_at(self) -> float:
        """Unix time of the last moment; 0 before there is one."""
        return max((moment.at for moment in self.moments), default=0.0)

    def spans(self) -> list[Span]:
        """Return every step and job in the order they began; one that never ended ends last."""
        spans: list[Span] = []
        open_spans: dict[tuple[What, str, str, str], int] = {}
        for moment in self.moments:
            if moment.what in _BEGINNINGS:
                key = (_BEGINNINGS[moment.what], moment.end, moment.step, moment.device)
                open_spans[key] = len(spans)
                spans.append(_begun(moment, self.ended_at))
            elif moment.what in _ENDINGS:
                key = (moment.what, moment.end, moment.step, moment.device)
                index = open_spans.pop(key, None)
                if index is not None:
                    failed = bool(moment.data.get("failed", False))
                    spans[index] = dataclasses.replace(
                        spans[index], ended_at=moment.at, failed=failed, detail=moment.detail
                    )
        return spans

    @property
    def blackout(self) -> Span | None:
        """The stand-still of the domain, or None where it never stood still."""
        begun = next((m for m in self.moments if m.what is What.SUSPENDED), None)
        if begun is None:
            return None
        over = {What.RUNNING, What.RESUMED}
        ended = next((m for m in self.moments if m.what in over and m.at >= begun.at), None)
        return dataclasses.replace(
            _begun(begun, ended.at if ended else self.ended_at), step="blackout", failed=not ended
        )


def _begun(moment: Moment, ended_at: float) -> Span:
    return Span(
        step=moment.step,
        device=moment.device,
        end=moment.end,
        host=moment.host,
        begun_at=moment.at,
        ended_at=ended_at,
        detail=moment.detail,
    )
