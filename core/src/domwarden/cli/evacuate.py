"""``domwarden evacuate``: everything leaves a host."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from domwarden.cli import output
from domwarden.cli.options import host_file, host_option, json_option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domwarden.contract.refusals import Refusal
    from domwarden.migration import Moved
    from domwarden.plan import Limits, Policy, Trip
    from domwarden.warden import Evacuated, Evacuator, Warden

#: The names of ``domwarden.plan.Policy``, which `--help` must not load.
POLICIES = ("largest-first", "smallest-first", "by-name")


@click.command
@click.argument("host", required=False)
@click.option("--all", "everything", is_flag=True, help="This host, whatever its name is.")
@click.option("--to", multiple=True, metavar="HOST", help="Only to this peer; may be repeated.")
@click.option(
    "--parallel-per-host",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    metavar="N",
    help="As many moves at once at any host.",
)
@click.option(
    "--parallel-per-link",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    metavar="N",
    help="As many moves at once between two hosts.",
)
@click.option("--policy", type=click.Choice(POLICIES), default=POLICIES[0], show_default=True)
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
@host_option
@json_option
def command(
    host: str | None,
    everything: bool,
    to: tuple[str, ...],
    parallel_per_host: int,
    parallel_per_link: int,
    policy: str,
    dry_run: bool,
    host_path: Path | None,
    as_json: bool,
) -> None:
    """Move every domain off HOST, which must be this host, or with --all off this host.

    The first Ctrl-C begins no more moves and waits for those under way. Exits 1 when a domain
    stays.
    """
    if (host is None) is not everything:
        raise click.UsageError("name this host, or say --all")
    own = host_file(host_path).host.name
    if host not in {None, own}:
        hint = f"this is {own}; run it on {host}"
        raise click.BadParameter(f"only this host can be evacuated here: {hint}", param_hint="HOST")

    from domwarden.cli.with_warden import run
    from domwarden.plan import Limits, Policy
    from domwarden.warden import Evacuator

    limits = Limits(parallel_per_host, parallel_per_link)
    order = Policy(policy)
    if dry_run:
        found = run(
            host_path,
            lambda warden: Evacuator(warden, to=to, limits=limits, policy=order).departures(),
        )
        if as_json:
            output.as_json(found.as_json())
        else:
            for trip in found.trips:
                click.echo(f"{trip.domain} -> {trip.host}")
            tell_stays(found.stays)
        sys.exit(1 if found.stays else 0)
    done = run(host_path, lambda warden: _evacuate(warden, to, limits, order))
    if as_json:
        output.as_json(done.as_json())
    else:
        tell(done)
    sys.exit(1 if done.stays else 0)


async def _evacuate(
    warden: Warden, to: tuple[str, ...], limits: Limits, policy: Policy
) -> Evacuated:
    from domwarden.warden import Evacuator

    evacuator = Evacuator(warden, to=to, limits=limits, policy=policy, on_trip=tell_trip)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, _stop, evacuator, loop)
    try:
        return await evacuator.run()
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _stop(evacuator: Evacuator, loop: asyncio.AbstractEventLoop) -> None:
    """Stop cleanly; the next Ctrl-C ends this process, and the moves under way go on."""
    output.say("no more moves begin; waiting for those under way (Ctrl-C again: do not wait)")
    evacuator.stop()
    loop.remove_signal_handler(signal.SIGINT)


def tell_trip(trip: Trip, ended: Moved | tuple[Refusal, ...] | None) -> None:
    """Tell of one move, as it begins and as it ends."""
    if ended is None:
        output.say(f"{trip.domain}: to {trip.host}")
    elif isinstance(ended, tuple):
        reasons = "; ".join(refusal.reason for refusal in ended)
        output.say(f"{trip.domain}: not to {trip.host}: {reasons}")
    else:
        output.say(f"{trip.domain}: on {trip.host} after {ended.total_seconds:.2f} s")


def tell(done: Evacuated) -> None:
    """Sum up: what moved, and why each remaining domain stays."""
    stopped = ", stopped before its end" if done.stopped else ""
    moved = f"{len(done.moved)} moved, {len(done.stays)} stay"
    click.echo(f"{done.host}: {moved}, after {done.total_seconds:.1f} s{stopped}")
    for one in done.moved:
        for alarm in one.alarms:
            output.say(f"{one.domain}: ALARM: {alarm}")
    tell_stays(done.stays)


def tell_stays(stays: Mapping[str, tuple[Refusal, ...]]) -> None:
    """Tell why each remaining domain stays, and what to do about it."""
    if not stays:
        return
    rows = [
        (name, r.host, r.device or "-", r.reason, r.remedy, r.code)
        for name, reasons in stays.items()
        for r in reasons
    ]
    output.table(("stays", "host", "device", "reason", "remedy", "code"), rows)
