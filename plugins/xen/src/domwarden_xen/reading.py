"""A watchdog's timer as Xen tells it: by its debug key ``q``, in the text of ``xl dmesg``.

No hypercall tells another domain's timers.  The key prints some lines for each domain into Xen's
console; they are kept for a moment for all who ask, and ``debug_keys: false`` leaves them away.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domwarden.contract import Armed, Reading

from .xl import Row, Xl

#: So old an answer may be.
KEPT_SECONDS = 5.0
_DUMP = "'q' pressed -> dumping domain info"
_DOMAIN = re.compile(r"General information for domain (?=\d+:)")
_PAUSES = re.compile(r"pause_count=(\d+)")
_TIMER = re.compile(r"watchdog \d expires in (-?\d+) seconds")
#: Xen divides by 2**30 where it says seconds (dump_domains in keyhandler.c).
_XEN_SECOND = 2**30 / 1e9


@dataclasses.dataclass(frozen=True)
class Timers:
    """The time left of every running domain's soonest timer at one moment (Unix seconds).

    None for a domain without a timer; Xen does not run the guests of paused ones, so what it says
    of their timers is left out.
    """

    at: float
    left_seconds: Mapping[int, float | None]

    def reading(self, domid: int, now: float) -> Reading:
        """Return what is known of one domain's timer."""
        left = self.left_seconds.get(domid)
        if left is None:
            return Reading(armed=Armed.DISARMED)
        return Reading(armed=Armed.ARMED, time_left_seconds=max(0.0, left - (now - self.at)))


def parse(text: str, at: float) -> Timers:
    """Return the timers in the last dump of a console's text."""
    left: dict[int, float | None] = {}
    for entry in _DOMAIN.split(text.rpartition(_DUMP)[2])[1:]:
        domid, _, lines = entry.partition(":")
        pauses = _PAUSES.search(lines)
        if pauses is None or pauses[1] != "0":
            continue
        every = [int(seconds) * _XEN_SECOND for seconds in _TIMER.findall(lines)]
        # One that has expired counts on below zero although it is not armed any more.
        armed = [seconds for seconds in every if seconds >= 0]
        left[int(domid)] = min(armed) if armed else None
    return Timers(at, left)


async def read(xl: Xl, row: Row, kept: Path) -> Reading:
    """Return the reading of a domain that runs; of one that is stopped, nothing is known."""
    if row.paused or row.shut_down:
        return Reading()
    now = time.time()
    timers = _kept(kept, now)
    # Only an armed timer is remembered: one may be armed at any time, and a copy that was not there
    # or did not run when the answer was made is not in it.
    if timers is None or timers.left_seconds.get(row.domid) is None:
        await xl.run("debug-keys", "q")
        timers = parse(await xl.run("dmesg"), time.time())
        _keep(kept, timers)
    return timers.reading(row.domid, time.time())


def _kept(path: Path, now: float) -> Timers | None:
    try:
        data: dict[str, Any] = json.loads(path.read_text())
        timers = Timers(data["at"], {int(key): left for key, left in data["left"].items()})
    except (OSError, ValueError, KeyError):
        return None
    return timers if 0 <= now - timers.at < KEPT_SECONDS else None


def _keep(path: Path, timers: Timers) -> None:
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps({"at": timers.at, "left": dict(timers.left_seconds)}))
    partial.replace(path)
