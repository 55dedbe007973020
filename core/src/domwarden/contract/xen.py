"""Numbers of Xen's domain watchdog, and of the operations the embedded engine's one adds.

Public headers of Xen: ``xen.h`` (__HYPERVISOR_sched_op), ``sched.h`` (SCHEDOP_watchdog, struct
sched_watchdog).
"""

from __future__ import annotations

import enum
import struct

SCHED_OP = 29
SCHEDOP_WATCHDOG = 6
#: ``struct sched_watchdog { uint32_t id; uint32_t timeout; }``, little-endian; seconds.
SCHED_WATCHDOG = struct.Struct("<II")


class WatchdogExtension(enum.IntEnum):
    """More commands of hypercall 29, all with ``struct { uint32_t id; uint32_t value; }``.

    Xen answers them with -ENOSYS, so a guest finds out by VERSION.  No command writes into the
    guest's memory: what is asked for is the return value.
    """

    #: Returns 1, the version of this set.
    VERSION = 0x4457_0000
    #: Milliseconds until timer ``id`` expires.
    TIME_LEFT = 0x4457_0001
    #: Seconds that timer ``id`` was last armed with.
    TIMEOUT = 0x4457_0002
    #: ``value`` seconds before the expiry the guest gets the interrupt ``pretimeout``; 0: never.
    SET_PRETIMEOUT = 0x4457_0003
    #: ``value``: a WatchdogAction; the timer then does that instead of the domain's own action.
    SET_ACTION = 0x4457_0004
    #: Returns 1 if the machine's last reset was the watchdog's, else 0.
    WAS_RESET = 0x4457_0005


class WatchdogAction(enum.IntEnum):
    """Actions as numbers in SET_ACTION."""

    DOMAIN = 0
    RESET = 1
    POWEROFF = 2
    PAUSE = 3
    DUMP = 4
    NMI = 5
    NOTIFY = 6
