"""Tells the observer of one end of a move what happens there."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

from domwarden.contract import Progress
from domwarden.migration.moments import Moment, Observer, What


class Herald:
    """One end's voice: fills in host, end, domain and migration."""

    def __init__(
        self,
        observer: Observer,
        clock: Callable[[], float],
        *,
        domain: str,
        migration: str,
        host: str,
        end: str,
    ) -> None:
        self._observer = observer
        self._clock = clock
        self._base = Moment(0.0, What.UNKNOWN, domain, migration, host, end)

    def tell(
        self, what: What, step: str = "", *, device: str = "", detail: str = "", **data: Any
    ) -> None:
        """Tell one moment; an observer that raises is not listened to."""
        moment = dataclasses.replace(
            self._base,
            at=self._clock(),
            what=what,
            step=step,
            device=device,
            detail=detail,
            data=data,
        )
        with contextlib.suppress(Exception):  # a broken progress bar must not break a move
            self._observer(moment)

    @contextlib.contextmanager
    def step(self, step: str) -> Iterator[None]:
        """Tell the beginning and the end of a step."""
        begun = time.monotonic()
        self.tell(What.STEP_BEGUN, step)
        try:
            yield
        except BaseException as error:
            seconds = time.monotonic() - begun
            self.tell(What.STEP_ENDED, step, detail=str(error), failed=True, seconds=seconds)
            raise
        self.tell(What.STEP_ENDED, step, failed=False, seconds=time.monotonic() - begun)

    def progress(self, step: str) -> Callable[[Progress], None]:
        """Return what an engine reports its progress to."""

        def on_progress(progress: Progress) -> None:
            data = dataclasses.asdict(progress)
            self.tell(What.PROGRESS, step, **data, time_left_seconds=progress.time_left_seconds)

        return on_progress
