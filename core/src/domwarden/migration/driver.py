"""The process that drives one move: ``python -m domwarden.migration.driver``.

It may be started ahead. It reads a request from its input and writes moments and a last word as
JSON lines; an input that ends before a request ends it. The process that
was started ends at once and leaves a watcher, which forks the one that works, hands on what that
one says, and when it dies without a last word runs the recovery at once. What cannot be settled at
once it tries again for a while. Nobody needs to listen. SIGTERM to the one that works, which holds
the domain's lock, cancels the move: the recovery gives it up where that can still be done.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import os
import queue
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from domwarden.contract import BrokenError, DomwardenError, PermanentError
from domwarden.migration.request import Request, Result, last_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from domwarden.migration.hub import Hub
    from domwarden.migration.moments import Moment, Observer


#: What happens is told so much later at most: each line wakes two more processes, and most of a
#: move's lines come in the few milliseconds in which its guest stands still.
TELL_SECONDS = 0.05


def installed_hub(request: Request, observer: Observer) -> Hub:
    """Make the hub of the request's host from what is installed."""
    from domwarden.migration.hub import Hub
    from domwarden.migration.site import Ports

    return Hub(request.host_file, Ports(), observer=observer)


def main(make_hub: Callable[[Request, Observer], Hub] = installed_hub) -> int:
    """Drive the move that standard input names; returns the exit status."""
    request = _told()
    if request is None:
        return 0  # its caller needed no driver, or is dead
    if os.fork():
        os._exit(0)  # the caller has no child to wait for, and leaves none behind
    reading, writing = os.pipe()
    # No thread and no event loop exists yet, so the fork is a whole and cheap copy.
    worker = os.fork()
    if worker == 0:
        os.close(reading)
        _work(request, writing, make_hub)
    os.close(writing)
    caller = _Caller()
    try:
        word = _hand_on(reading, caller)
        _, status = os.waitpid(worker, 0)
        os.environ.pop("DOMWARDEN_CRASH_AT", None)  # meant for the worker
        if not word:
            why = _why_dead(status)
            word = _line(last_word(asyncio.run(_recovered(request, make_hub, caller, why))))
            caller.hear(word)
    finally:
        caller.end()
    if "result" not in json.loads(word):
        _stay(request, make_hub)
    os._exit(0)


def _why_dead(status: int) -> DomwardenError:
    """Say why the worker left no last word; SIGTERM is how a move is cancelled."""
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM:
        return PermanentError("the move was cancelled")
    return BrokenError("the process that drove the move died")


def _told() -> Request | None:
    """Read until there is a request; drivers may be named before it, to be loaded meanwhile."""
    for line in sys.stdin:
        said = json.loads(line)
        if "load" not in said:
            return Request.from_json(said)
        _load(said["load"])
    return None


def _load(drivers: Iterable[Sequence[str]]) -> None:
    from domwarden.plugins import Kind, load

    for kind, name in drivers:
        with contextlib.suppress(DomwardenError):  # the move that needs it will say so
            load(Kind(kind), name)


def _stay(request: Request, make_hub: Callable[[Request, Observer], Hub]) -> None:
    """Go on trying what the failed move may have left, when its caller has heard all."""
    from domwarden.migration.moments import ignore
    from domwarden.migration.patience import keep_trying

    nowhere = os.open(os.devnull, os.O_WRONLY)
    for standard in (1, 2):  # whoever reads our output until its end is not held up
        os.dup2(nowhere, standard)
    with contextlib.suppress(DomwardenError, OSError):  # the next verb will meet it
        asyncio.run(keep_trying(lambda: make_hub(request, ignore), request.domain))


class _Caller:
    """Who reads standard output, or does not: one stopped at its terminal holds nobody up."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="caller")
        self._thread.start()

    def hear(self, line: bytes) -> None:
        """Hand a line over; never blocks."""
        self._lines.put(line)

    def end(self) -> None:
        """Return once the caller has read everything, or is gone."""
        self._lines.put(b"")
        self._thread.join()

    def _write(self) -> None:
        while line := self._lines.get():
            with contextlib.suppress(OSError):  # it is gone
                _write(1, line)


def _work(request: Request, writing: int, make_hub: Callable[[Request, Observer], Hub]) -> None:
    """Be the worker, and never return."""
    status = 1
    try:
        asyncio.run(_drive(request, writing, make_hub))
        status = 0
    finally:
        # Whatever happens, this copy must not go on as a second watcher.
        os._exit(status)


async def _drive(
    request: Request, writing: int, make_hub: Callable[[Request, Observer], Hub]
) -> None:
    """Perform the move and say how it ended, once."""
    from domwarden.migration.verbs import perform

    said: list[dict[str, Any]] = []
    untold: list[Moment] = []

    def tell(moment: Moment) -> None:
        if not untold:
            asyncio.get_running_loop().call_later(TELL_SECONDS, flush)
        untold.append(moment)

    def flush() -> None:
        lines = b"".join(_line({"moment": moment.as_json()}) for moment in untold)
        untold.clear()
        _say(writing, lines)

    def conclude(result: Result | BaseException) -> None:
        if not said:
            flush()
            said.append(last_word(result))
            _say(writing, _line(said[0]))

    try:
        async with make_hub(request, tell) as hub:
            # Before the journals are closed, which takes their disk 40 ms and adds nothing: what
            # the word tells of is durable, and the domain's lock was let go.
            conclude(await perform(hub, request))
    except (DomwardenError, OSError) as error:
        conclude(error)


async def _recovered(
    request: Request,
    make_hub: Callable[[Request, Observer], Hub],
    caller: _Caller,
    why: DomwardenError,
) -> Result | BaseException:
    """Settle what the dead worker left."""
    from domwarden.migration.verbs import complete

    def tell(moment: Moment) -> None:
        caller.hear(_line({"moment": moment.as_json()}))

    try:
        async with make_hub(request, tell) as hub:
            return await complete(hub, request, why)
    except (DomwardenError, OSError) as error:
        return error


def _hand_on(reading: int, caller: _Caller) -> bytes:
    """Copy the worker's lines to the caller; returns the last word, empty if it said none."""
    word = b""
    with os.fdopen(reading, "rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                break  # it died in the middle of a line
            if b'"moment"' not in line[:12]:
                word = line
            caller.hear(line)
    return word


def _say(descriptor: int, lines: bytes) -> None:
    with contextlib.suppress(OSError):  # nobody needs to listen
        _write(descriptor, lines)


def _line(said: dict[str, Any]) -> bytes:
    return json.dumps(said, default=str).encode() + b"\n"


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _prepare() -> None:
    """Import what every move needs, before there is a request to keep waiting."""
    ours = ("config", "migration.verbs", "plugins", "watchdog.process")
    # And what asyncio and ssl load for their first thread and for their first name of a host.
    others = ("concurrent.futures.thread", "encodings.idna")
    for name in (*(f"domwarden.{own}" for own in ours), *others):
        importlib.import_module(name)
    # The forked worker then neither copies nor looks through what is here now.
    gc.freeze()


if __name__ == "__main__":
    _prepare()
    sys.exit(main())
