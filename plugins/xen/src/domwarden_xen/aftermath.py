"""What is done after an expiry or an end, where neither Xen nor xl's monitor does it."""

from __future__ import annotations

import logging

from domwarden.contract import Action, EngineError

from . import actions, finding, locking, monitor, resetting
from .files import Files
from .record import Record
from .xl import CRASH, POWEROFF, REBOOT, SOFT_RESET, WATCHDOG, Row, Xl

logger = logging.getLogger(__name__)

#: The setting of xl.cfg(5) that says what becomes of a domain, by its shut-down code.
SETTINGS = {
    POWEROFF: "on_poweroff",
    REBOOT: "on_reboot",
    CRASH: "on_crash",
    WATCHDOG: "on_watchdog",
    SOFT_RESET: "on_soft_reset",
}


#: What an emulated card's expiry does to a domain that goes on as if there were none.
CARD_ACTIONS = frozenset({Action.RESET, Action.POWEROFF, Action.PAUSE, Action.DUMP})


def wanted(record: Record, code: int) -> str:
    """Return the word of xl.cfg(5) for what is to be done after an end with that code."""
    word = record.on.get(SETTINGS.get(code, ""), "preserve")
    return "restart" if word == "soft-reset" else word


async def settle(files: Files, xl: Xl, domid: int, code: int) -> bool:
    """Do it, unless xl's monitor lives or somebody was faster; returns whether it was done."""
    if monitor.alive(files):
        return False
    try:
        async with locking.changing(files):
            record = Record.load(files.record)
            if record is None:
                return False
            row = await finding.find(files, xl, record)
            if row is None or row.domid != domid or row.reason != code or monitor.alive(files):
                return False
            if not record.activated or record.leaving or record.departed:
                return False  # a move decides about it
            return await _do(files, xl, record, row, wanted(record, code))
    except EngineError as error:
        # The next look tries again; whoever follows the domain must hear of its end all the same.
        logger.warning("%s: after its end with code %d: %s", files.name, code, error)
        return False


async def after_card(files: Files, xl: Xl, domid: int) -> bool:
    """Do to a domain whose emulated card has fired what its action says; True where it was done.

    The rest (``nmi``, ``shutdown``, ``notify``) is left to the supervisor, on every engine alike.
    """
    try:
        async with locking.changing(files):
            record = Record.load(files.record)
            row = None if record is None else await finding.find(files, xl, record)
            if record is None or row is None or row.domid != domid or row.shut_down:
                return False
            if record.watchdog_action not in CARD_ACTIONS:
                return False
            await actions.act(files, xl, Action(record.watchdog_action))
    except EngineError as error:
        logger.warning("%s: after its card has fired: %s", files.name, error)
        return False
    return True


async def _do(files: Files, xl: Xl, record: Record, row: Row, word: str) -> bool:
    logger.info("%s: xl's monitor is gone: %s instead of it", files.name, word)
    match word:
        case "restart" | "rename-restart":
            await resetting.restart(files, xl, record, row)
        case "coredump-restart":
            await actions.dump(files, xl, record, row)
        case "destroy" | "coredump-destroy":
            await xl.destroy(row.domid)
        case _:
            return False
    return True
