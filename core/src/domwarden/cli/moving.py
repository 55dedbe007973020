"""Has a domain moved: by this host's service where it listens, else by a driver of our own."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domwarden.cli import output
from domwarden.cli.asking import as_data, followed, service
from domwarden.cli.progress import Hear, shown

if TYPE_CHECKING:
    from domwarden.migration import Moved, Observer, Restored, Saved
    from domwarden.warden import Warden

    #: The same move by a warden of our own.
    Verb = Callable[[Warden, Observer], Awaitable[Moved | Saved | Restored]]


def moved(
    host_path: Path | None,
    where: str,
    body: Mapping[str, Any],
    verb: Verb,
    *,
    hear: Hear = lambda _moment: None,
) -> Mapping[str, Any]:
    """Show a move on its way, and return its result as plain data; raises DomwardenError.

    The service is asked at ``where``. ``hear`` is told each moment.
    """
    there = service(host_path)
    if there is not None:
        with _going_on(), shown(hear) as heard:
            done: Mapping[str, Any] = followed(there, where, body, heard)
            return done
    from domwarden.cli import early  # here, and not for a service's caller

    with early.driver() as driver:
        from domwarden.cli.with_warden import run

        with _going_on(), shown(hear) as heard:
            observer = as_data(heard)
            return run(host_path, lambda warden: verb(warden, observer), driver=driver).as_json()


@contextlib.contextmanager
def _going_on() -> Iterator[None]:
    """Say what an interrupt leaves."""
    try:
        yield
    except KeyboardInterrupt:
        output.say("what has begun goes on by itself: `domwarden status` shows it")
        raise
