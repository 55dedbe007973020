"""``domwarden evacuate``: everything leaves a host."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from domwarden.cli import output
from domwarden.cli.options import host_file, host_option, json_option

if TYPE_CHECKING:
    from types import FrameType

    from domwarden.cli.emptying import PeerEvacuation
    from domwarden.client.connection import Service
    from domwarden.config import HostFile
    from domwarden.plan import Trip
    from domwarden.warden import Ended, Evacuator, Warden

#: The names of ``domwarden.plan.Policy``, which `--help` must not load.
POLICIES = ("largest-first", "smallest-first", "by-name")

STOPPING = "no more moves begin; waiting for those under way (Ctrl-C again: do not wait)"


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
    """Move every domain off HOST, or with --all off this host.

    HOST is this host, or a peer whose host file lets this one do it. The first Ctrl-C begins no
    more moves and waits for those under way. Exits 1 when a domain stays.
    """
    if (host is None) is not everything:
        raise click.UsageError("name this host, or say --all")
    loaded = host_file(host_path)
    there = host if host not in {None, loaded.host.name} else None
    if there is not None:
        _check_peer(loaded, there)
    body: dict[str, Any] = {
        "to": to,
        "parallel_per_host": parallel_per_host,
        "parallel_per_link": parallel_per_link,
        "policy": policy,
        "dry_run": dry_run,
    }
    if there is not None:
        done = _over_there(loaded, there, body)
    else:
        done = _here(host_path, body)
    if as_json:
        output.as_json(done)
    elif dry_run:
        for trip in done["trips"]:
            click.echo(f"{trip['domain']} -> {trip['host']}")
        tell_stays(done["stays"])
    else:
        tell(done)
    sys.exit(1 if done["stays"] else 0)


def _check_peer(loaded: HostFile, host: str) -> None:
    """Raise BadParameter for a host that cannot be told from here."""
    own = loaded.host.name
    if host not in loaded.peers:
        known = ", ".join(sorted(loaded.peers)) or "none"
        what = f"{host} is neither this host ({own}) nor a peer of it (its peers: {known})"
        raise click.BadParameter(what, param_hint="HOST")
    if loaded.peers[host].address is None:
        hint = f"this is {own}; run it on {host}"
        what = f"only a peer with an `address` can be evacuated from here: {hint}"
        raise click.BadParameter(what, param_hint="HOST")


def _over_there(loaded: HostFile, host: str, body: Mapping[str, Any]) -> Any:
    """Have a peer do it, which goes on with it whatever becomes of this process."""
    from domwarden.cli.asking import result_of
    from domwarden.cli.emptying import PeerEvacuation, link_to

    async def work() -> Mapping[str, Any]:
        link = link_to(loaded, host)
        evacuation = PeerEvacuation(link, host, body, _hear)
        loop = asyncio.get_running_loop()
        if not body["dry_run"]:
            loop.add_signal_handler(signal.SIGINT, _stop, evacuation, loop)
        try:
            return await evacuation.run()
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            await link.aclose()

    return result_of(asyncio.run(work()))


def _hear(kind: str, data: Mapping[str, Any]) -> None:
    if kind == "trip":
        tell_trip(data)


def _here(host_path: Path | None, body: Mapping[str, Any]) -> Any:
    """Empty this host, by its service where that listens."""
    from domwarden.cli.asking import service

    there = service(host_path)
    return _asked(there, body) if there is not None else _alone(host_path, **body)


def _asked(there: Service, body: Mapping[str, Any]) -> Any:
    """Have the service do it, which goes on with it whatever becomes of this process."""
    from domwarden.cli.asking import result_of
    from domwarden.client.following import follow
    from domwarden.contract import DomwardenError

    where = f"/v1/operations/{there.ask('POST', '/v1/evacuations', body)['id']}"
    before = signal.getsignal(signal.SIGINT)

    def stop() -> None:
        output.say(STOPPING)
        with contextlib.suppress(DomwardenError):  # it has ended just now
            there.ask("DELETE", where)

    # Not by the handler itself: it may come in the midst of a line that this thread writes.
    stopping = threading.Thread(target=stop, name="evacuate/stop")

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        stopping.start()

    if not body["dry_run"]:
        signal.signal(signal.SIGINT, interrupted)
    try:
        return result_of(follow(there, where, _hear))
    finally:
        signal.signal(signal.SIGINT, before)


def _alone(
    host_path: Path | None,
    *,
    to: tuple[str, ...],
    parallel_per_host: int,
    parallel_per_link: int,
    policy: str,
    dry_run: bool,
) -> dict[str, Any]:
    from domwarden.cli.with_warden import run
    from domwarden.plan import Limits, Policy
    from domwarden.warden import Evacuator, trip_as_json, unheard

    def told(trip: Trip, ended: Ended) -> None:
        tell_trip(trip_as_json(trip, ended))

    async def work(warden: Warden) -> dict[str, Any]:
        evacuator = Evacuator(
            warden,
            to=to,
            limits=Limits(parallel_per_host, parallel_per_link),
            policy=Policy(policy),
            on_trip=unheard if dry_run else told,
        )
        if dry_run:
            return (await evacuator.departures()).as_json()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, _stop, evacuator, loop)
        try:
            return (await evacuator.run()).as_json()
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    return run(host_path, work)


def _stop(evacuator: Evacuator | PeerEvacuation, loop: asyncio.AbstractEventLoop) -> None:
    """Stop cleanly; the next Ctrl-C ends this process, and the moves under way go on."""
    output.say(STOPPING)
    evacuator.stop()
    loop.remove_signal_handler(signal.SIGINT)


def tell_trip(trip: Mapping[str, Any]) -> None:
    """Tell of one move, as it begins and as it ends."""
    domain, host = trip["domain"], trip["host"]
    if trip["moved"] is not None:
        output.say(f"{domain}: on {host} after {trip['moved']['total_seconds']:.2f} s")
    elif trip["refusals"]:
        reasons = "; ".join(refusal["reason"] for refusal in trip["refusals"])
        output.say(f"{domain}: not to {host}: {reasons}")
    else:
        output.say(f"{domain}: to {host}")


def tell(done: Mapping[str, Any]) -> None:
    """Sum up: what moved, and why each remaining domain stays."""
    stopped = ", stopped before its end" if done["stopped"] else ""
    moved = f"{len(done['moved'])} moved, {len(done['stays'])} stay"
    click.echo(f"{done['host']}: {moved}, after {done['total_seconds']:.1f} s{stopped}")
    for one in done["moved"]:
        for alarm in one["alarms"]:
            output.say(f"{one['domain']}: ALARM: {alarm}")
    tell_stays(done["stays"])


def tell_stays(stays: Mapping[str, Any]) -> None:
    """Tell why each remaining domain stays, and what to do about it."""
    if not stays:
        return
    rows = [
        (name, r["host"], r["device"] or "-", r["reason"], r["remedy"], r["code"])
        for name, reasons in stays.items()
        for r in reasons
    ]
    output.table(("stays", "host", "device", "reason", "remedy", "code"), rows)
