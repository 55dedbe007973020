"""What is shown on stderr of long work: bars, or plain lines where it is no terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from domwarden.cli.output import say
from domwarden.migration import Moment, Observer, What

#: Moments worth a line of their own to somebody who waits.
TOLD = {
    What.SUSPENDED: "suspended",
    What.READY: "destination ready",
    What.RELEASED: "released by the source",
    What.GRANTED: "granted to the destination",
    What.RUNNING: "running",
    What.RESUMED: "running again at the source",
    What.ABORTING: "giving up",
}


class Lines:
    """Talk on stderr where that is no terminal: lines, and nothing that moves."""

    def say(self, line: str) -> None:
        """Tell one line."""
        say(line)

    def hear(self, moment: Moment) -> None:
        """Show nothing of a moment."""

    def waiting(self, what: str, limit_seconds: float) -> contextlib.AbstractContextManager[None]:
        """Show nothing of a wait."""
        return contextlib.nullcontext()


@contextlib.contextmanager
def display() -> Iterator[Lines]:
    """Return what shows long work on stderr: bars on a terminal, else lines alone."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from domwarden.cli.bars import Bars  # it loads rich

    bars = Bars()
    with bars.progress:
        yield bars


@contextlib.contextmanager
def shown(*others: Observer) -> Iterator[Observer]:
    """Return an observer that shows what it hears, and passes it on to ``others``."""
    with display() as screen:

        def observe(moment: Moment) -> None:
            for other in others:
                other(moment)
            screen.hear(moment)
            line = line_of(moment)
            if line:
                screen.say(line)

        yield observe


def line_of(moment: Moment) -> str:
    """Return what to tell about a moment, or nothing."""
    if moment.what in TOLD:
        return f"{moment.domain}: {TOLD[moment.what]} ({moment.host})"
    if moment.what is What.ALARM:
        return f"{moment.domain}: ALARM: {moment.detail}"
    if moment.what is What.JOB_ENDED and moment.data.get("failed"):
        where = f"{moment.step} of {moment.device} failed on {moment.host}"
        return f"{moment.domain}: {where}: {moment.detail}"
    return ""
