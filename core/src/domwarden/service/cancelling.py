"""Cancels a move, wherever the process runs that drives it."""

from __future__ import annotations

import asyncio
import os
import signal

from domwarden.plan import Decision
from domwarden.service.moves import OPEN, Moves
from domwarden.service.problems import ProblemError
from domwarden.warden import Looks

#: What stands in the command line of a process that drives a move.
DRIVER = "domwarden.migration.driver"
#: A driver needs a moment from its request to the domain's lock.
TRIES = 40
PAUSE_SECONDS = 0.25


async def cancel(moves: Moves, looks: Looks, migration: str) -> None:
    """Have a move given up; raises ProblemError where it is over, or released already.

    The driver dies, and its watcher settles the move as after any crash: what is released between
    this look and its death arrives all the same.
    """
    for _ in range(TRIES):
        found = await moves.one(migration)
        if found["state"] not in OPEN:
            raise ProblemError("over", f"it {found['state']}")
        if found["decision"] == Decision.RELEASED:
            raise ProblemError("over", "its source has released the domain, which is never undone")
        # Before its first record, whoever holds the lock may be busy with something else.
        begun = await looks.move(migration) is not None
        if begun and await _signalled(moves, looks, migration, found["domain"]):
            return
        await asyncio.sleep(PAUSE_SECONDS)
    raise ProblemError(
        "over",
        "no process of this machine drives it that could be told",
        hint="`POST /v1/recover` settles it as far as that goes now",
    )


async def _signalled(moves: Moves, looks: Looks, migration: str, domain: str) -> bool:
    holder = await looks.holder(domain)
    if holder is None:
        return False
    if holder.pid == os.getpid():
        task = moves.task_of(migration)
        return task is not None and task.cancel()
    if DRIVER not in holder.command:
        return False
    try:
        process = os.pidfd_open(holder.pid)
    except OSError:
        return False
    try:
        # Once more, with the process in hand: its number cannot become another's any more.
        again = await looks.holder(domain)
        if again is None or again.pid != holder.pid:
            return False
        signal.pidfd_send_signal(process, signal.SIGTERM)
    except OSError:
        return False
    finally:
        os.close(process)
    return True
