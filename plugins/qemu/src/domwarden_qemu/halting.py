"""Notices that something else than a move stopped the guest before its switchover."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from domwarden.contract import GuestStoppedError

from .hearing import Heard
from .monitor import Session
from .observe import FAILED, STOPPED

#: QEMU's word for the watchdog's actions ``pause`` and ``dump``.
_PAUSES = "pause"


class Halts:
    """What was heard of one guest since :func:`watched` was entered.

    A guest that did not run then may stay as it is; for one that ran, :meth:`check` raises
    GuestStoppedError.  QEMU's events come in order, so what happened before the switchover is heard
    before it.  A watchdog is believed by its event alone: at the switchover QEMU forgets the stop
    that it asked for, and the hung guest would run at its destination.
    """

    def __init__(self, name: str, session: Session, heard: Heard, *, ran: bool) -> None:
        self._name = name
        self._session = session
        self._heard = heard
        self._ran = ran

    async def stop(self) -> None:
        """Stop the guest for a save, unless something else did."""
        await self._session.execute("stop")
        status = (await self._session.execute("query-status"))["status"]
        if self._ran and status in FAILED:
            raise self._stopped(status)
        self._ran = False

    async def check(self) -> None:
        """Raise GuestStoppedError if something else stopped the guest."""
        for event in self._heard.take():
            if event["event"] == "WATCHDOG" and _action(event) == _PAUSES and self._ran:
                raise self._stopped("watchdog")
            if event["event"] == "STOP" and self._ran:
                # The switchover's own one is told just before it, and then is what QEMU says.
                status = (await self._session.execute("query-status"))["status"]
                if status in STOPPED:
                    raise self._stopped(status)

    def _stopped(self, status: str) -> GuestStoppedError:
        why = "its watchdog fired" if status == "watchdog" else f"QEMU says: {status}"
        return GuestStoppedError(
            f"{self._name}: it was stopped while it was copied ({why})",
            command="migrate",
            hint="see `domwarden status`; resume or reset it, or migrate it paused",
        )


@contextlib.asynccontextmanager
async def watched(name: str, session: Session) -> AsyncGenerator[Halts, None]:
    """Hear from now on what stops the guest."""
    async with session.hear("WATCHDOG", "STOP") as heard:
        status = await session.execute("query-status")
        # ``save-vm``: somebody looks at the watchdog's timer, and the guest goes on at once.
        ran = bool(status.get("running")) or status.get("status") == "save-vm"
        yield Halts(name, session, heard, ran=ran)


def _action(event: Mapping[str, Any]) -> str:
    return str(event.get("data", {}).get("action", ""))
