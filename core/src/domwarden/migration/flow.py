"""A migration that meets no trouble, in its fixed order."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from domwarden.contract import (
    Armed,
    Reading,
    Refusal,
    RefusedError,
    Step,
    Ticket,
    TimerClock,
    stream_refusals,
)
from domwarden.migration.both import both
from domwarden.migration.far import RemoteEnd
from domwarden.migration.source import SourceSide, merge, refused
from domwarden.plan import predicted_blackout_seconds, watchdog_too_short


@dataclasses.dataclass(frozen=True)
class Preflight:
    """What both ends said at TEST."""

    refusals: tuple[Refusal, ...]
    predicted_blackout_seconds: float


async def preflight(source: SourceSide, far: RemoteEnd | None) -> Preflight:
    """Ask both ends everything that could be against the move; changes nothing."""
    refusals = await source.test()
    refusals += await source.blockers(clearable=True)
    reading: Reading | None
    if far is None:
        reading = await read_watchdog(source)
    else:
        reading, (theirs, tickets, stream) = await both(
            read_watchdog(source), far.test(source.given), f"{source.record.domain}/test"
        )
        refusals += theirs
        refusals += await stream_refusals(source.site.host, stream)
        merge(source.tickets, tickets)
    announced = [t for t in (*source.given.values(), *source.tickets.values()) if t is not None]
    blackout = predicted_blackout_seconds(source.definition, announced)
    too_short = watchdog_refusal(source, reading, blackout)
    if too_short is not None:
        refusals.append(dataclasses.replace(too_short, host=source.site.host.name))
    return Preflight(tuple(refused(refusals)), blackout)


async def read_watchdog(source: SourceSide) -> Reading | None:
    """Read the timer that guards a domain; None for one that has none, or that stands still."""
    if source.definition.watchdog is None or not source.record.running:
        return None
    reading = await source.engine.read_watchdog(source.record.domain)
    source.watchdog_before = reading.armed
    return reading


def watchdog_refusal(
    source: SourceSide, reading: Reading | None, blackout_seconds: float
) -> Refusal | None:
    """Judge the stand-still against the watchdog of a domain that runs."""
    if reading is None:
        return None
    clock = getattr(source.room.devices["watchdog"], "CLOCK", TimerClock.UNKNOWN)
    return watchdog_too_short(source.definition, clock, reading, blackout_seconds)


async def forward(source: SourceSide, far: RemoteEnd) -> tuple[float | None, float | None]:
    """Take the domain past the commit point, until it runs at its destination.

    Returns the blackout as measured here, and the engine's own measured downtime. Raises whatever
    failed; the caller then settles.
    """
    await source.begin()
    # Syncing the disk here beside starting a hypervisor there: neither waits for the other.
    _, answer = await both(
        source.reserve(),
        far.open(_tickets(source), source.watchdog_before),
        f"{source.record.domain}/open",
    )
    address = answer["address"]
    merge(source.tickets, answer["tickets"])
    await _far_step(source, far, "prepare")
    await source.step(Step.PREPARE)
    left = await source.blockers(clearable=False)
    if left:
        raise RefusedError(left)
    await source.precopy(address)
    await source.suspend()
    _, started = await both(
        source.step(Step.START),
        far.send("start", tickets=_tickets(source)),
        f"{source.record.domain}/start",
    )
    merge(source.tickets, started["tickets"])
    await source.step(Step.SYNC)
    # At once, for the guest stands still: each end waits until its own hypervisor says that the
    # stream is complete.  The destination's tickets come back too late for any step of the source.
    await both(
        source.complete(),
        far.send("sync", tickets=_tickets(source)),
        f"{source.record.domain}/sync",
    )
    await source.release()
    granted = await far.send("grant")
    blackout = source.seen_running(float(granted["ran_ago_seconds"]))
    return blackout, await source.downtime_seconds()


async def afterwards(source: SourceSide, far: RemoteEnd) -> None:
    """Clean up at both ends once the domain was seen running at its destination."""
    finished, _ = await both(
        far.send("finish", tickets=_tickets(source)),
        source.intend_finish(),
        f"{source.record.domain}/finish",
    )
    await source.compare_watchdog(Armed(finished["watchdog"]))
    await source.finish()
    # The source closes last: until then its recovery also answers for the destination.
    await both(source.stop(), far.send("close"), f"{source.record.domain}/close")
    await source.close()


async def _far_step(source: SourceSide, far: RemoteEnd, step: str) -> None:
    answer = await far.send(step, tickets=_tickets(source))
    merge(source.tickets, answer["tickets"])


def _tickets(source: SourceSide) -> Mapping[str, Ticket | None]:
    return dict(source.given)
