"""Settles what nobody drives, as long as the service runs."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from domwarden.contract import DomwardenError
from domwarden.migration import Outcome
from domwarden.service.claims import Claims
from domwarden.service.problems import ProblemError
from domwarden.warden import MoveState, Warden

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
#: How often every domain's supervisor is looked for, which takes a look at each of them.
SUPERVISED_SECONDS = 30.0
WAITING = MoveState.WAITING


async def keep(warden: Warden, claims: Claims, sleep: Callable[[float], Awaitable[None]]) -> None:
    """Settle everything once, then again and again what nobody drives, for ever.

    Every guarded domain keeps a supervisor.
    """
    pause_seconds, settled = FIRST_PAUSE_SECONDS, False
    unseen_seconds = SUPERVISED_SECONDS
    while True:
        try:
            if not settled:
                for one in await warden.recover():
                    logger.info("%s: %s %s", one.domain, one.outcome, one.detail)
                settled = True
            waits = await _settle_undriven(warden, claims)
            if unseen_seconds >= SUPERVISED_SECONDS:
                await warden.keep_supervised()
                unseen_seconds = 0.0
        except DomwardenError as error:
            logger.warning("what is unfinished cannot be settled now: %s", error)
            waits = True
        await sleep(pause_seconds)
        unseen_seconds += pause_seconds
        # A move that waits is asked after soon, then less often; a new one may wait at any time.
        pause_seconds = (
            min(2 * pause_seconds, LONGEST_PAUSE_SECONDS) if waits else (FIRST_PAUSE_SECONDS)
        )


async def _settle_undriven(warden: Warden, claims: Claims) -> bool:
    """Settle each move that no process drives; returns whether any of them waits."""
    waits = False
    for name in {one.domain for one in await warden.looks.unfinished() if one.state is WAITING}:
        try:
            with claims.take(name, "the settling of an unfinished move"):
                found = await warden.settle(name)
        except ProblemError:  # somebody asked for something, which settles first, too
            continue
        for one in found:
            if one.outcome is Outcome.WAITING:
                waits = True
            else:
                logger.info("%s: %s %s", one.domain, one.outcome, one.detail)
    return waits
