"""The process that drives one move: ``python -m domwarden.migration.driver``.

It reads a request from its input and writes moments and a last word as JSON lines. The process that
was started ends at once and leaves a watcher, which forks the one that works, hands on what that
one says, and when it dies without a last word runs the recovery at once. Nobody needs to listen.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from domwarden.contract import BrokenError, DomwardenError
from domwarden.migration.request import Request, Result, last_word

if TYPE_CHECKING:
    from collections.abc import Callable

    from domwarden.migration.hub import Hub
    from domwarden.migration.moments import Moment, Observer


def installed_hub(request: Request, observer: Observer) -> Hub:
    """Make the hub of the request's host from what is installed."""
    from domwarden.migration.hub import Hub
    from domwarden.migration.site import Ports

    return Hub(request.host_file, Ports(), observer=observer)


def main(make_hub: Callable[[Request, Observer], Hub] = installed_hub) -> int:
    """Drive the move that standard input names; returns the exit status."""
    request = Request.from_json(json.loads(sys.stdin.readline()))
    if os.fork():
        return 0  # the caller has no child to wait for, and leaves none behind
    reading, writing = os.pipe()
    # No thread and no event loop exists yet, so the fork is a whole and cheap copy.
    worker = os.fork()
    if worker == 0:
        os.close(reading)
        _work(request, writing, make_hub)
    os.close(writing)
    spoke = _hand_on(reading)
    os.waitpid(worker, 0)
    if not spoke:
        os.environ.pop("DOMWARDEN_CRASH_AT", None)  # meant for the one that died
        _say(1, last_word(asyncio.run(_recovered(request, make_hub))))
    os._exit(0)


def _work(request: Request, writing: int, make_hub: Callable[[Request, Observer], Hub]) -> None:
    """Be the worker, and never return."""
    status = 1
    try:
        word = last_word(asyncio.run(_drive(request, writing, make_hub)))
        _say(writing, word)
        status = 0
    finally:
        # Whatever happens, this copy must not go on as a second watcher.
        os._exit(status)


async def _drive(
    request: Request, writing: int, make_hub: Callable[[Request, Observer], Hub]
) -> Result | BaseException:
    from domwarden.migration.verbs import perform

    def tell(moment: Moment) -> None:
        _say(writing, {"moment": moment.as_json()})

    try:
        async with make_hub(request, tell) as hub:
            return await perform(hub, request)
    except (DomwardenError, OSError) as error:
        return error


async def _recovered(
    request: Request, make_hub: Callable[[Request, Observer], Hub]
) -> Result | BaseException:
    """Settle what the dead worker left."""
    from domwarden.migration.verbs import complete

    def tell(moment: Moment) -> None:
        _say(1, {"moment": moment.as_json()})

    try:
        async with make_hub(request, tell) as hub:
            return await complete(hub, BrokenError("the process that drove the move died"))
    except (DomwardenError, OSError) as error:
        return error


def _hand_on(reading: int) -> bool:
    """Copy the worker's lines to standard output; returns whether a last word was among them."""
    spoke = False
    with os.fdopen(reading, "rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                break  # it died in the middle of a line
            spoke = spoke or b'"moment"' not in line[:12]
            with contextlib.suppress(OSError):  # the caller may be gone
                _write(1, line)
    return spoke


def _say(descriptor: int, said: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # nobody needs to listen
        _write(descriptor, json.dumps(said, default=str).encode() + b"\n")


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


if __name__ == "__main__":
    sys.exit(main())
