"""Keeps this process in memory and on the processor when the machine is in trouble."""

from __future__ import annotations

import ctypes
import os

#: <sys/mman.h>: what is mapped now, and what will be.
MCL_CURRENT, MCL_FUTURE = 1, 2


def lock_memory() -> str:
    """Lock all memory of this process; return why that is not possible, or nothing."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(MCL_CURRENT | MCL_FUTURE) == 0:
        return ""
    return f"memory is not locked: {os.strerror(ctypes.get_errno())}"


def be_realtime(priority: int) -> str:
    """Run before all ordinary processes; return why that is not possible, or nothing.

    The commands of checks and repairs do not inherit it.
    """
    policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
    try:
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    except OSError as error:
        return f"no realtime priority: {error.strerror}"
    return ""
