"""What is shown on stderr of long work: bars, or plain lines where it is no terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from domwarden.cli.output import say

if TYPE_CHECKING:  # whoever asks the service is not to load it
    from domwarden.migration import Moment

#: Moments worth a line of their own to somebody who waits, by the values of ``migration.What``.
TOLD = {
    "suspended": "suspended",
    "ready": "destination ready",
    "released": "released by the source",
    "granted": "granted to the destination",
    "running": "running",
    "resumed": "running again at the source",
    "aborting": "giving up",
}

#: Called with each moment as plain data.
Hear = Callable[[Mapping[str, Any]], None]


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
def shown(*others: Hear) -> Iterator[Hear]:
    """Return what shows the moments that it hears, and passes them on to ``others``."""
    with display() as screen:

        def hear(moment: Mapping[str, Any]) -> None:
            for other in others:
                other(moment)
            if type(screen) is not Lines:
                from domwarden.migration import Moment  # a terminal's bars have loaded it

                screen.hear(Moment.from_json(moment))
            line = line_of(moment)
            if line:
                screen.say(line)

        yield hear


def line_of(moment: Mapping[str, Any]) -> str:
    """Return what to tell about a moment, or nothing."""
    what, domain = moment["what"], moment["domain"]
    if what in TOLD:
        return f"{domain}: {TOLD[what]} ({moment['host']})"
    if what == "alarm":
        return f"{domain}: ALARM: {moment['detail']}"
    if what == "job-ended" and moment["data"].get("failed"):
        where = f"{moment['step']} of {moment['device']} failed on {moment['host']}"
        return f"{domain}: {where}: {moment['detail']}"
    return ""
