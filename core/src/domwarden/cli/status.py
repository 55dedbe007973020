"""``domwarden status``: domains, their watchdogs, unfinished work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from domwarden.cli import output
from domwarden.cli.attention import attention, tell_settled
from domwarden.cli.options import host_option, json_option
from domwarden.contract.engine import RunState
from domwarden.contract.watchdog import Armed, Reading
from domwarden.plan import Desired

if TYPE_CHECKING:
    from domwarden.warden import DomainStatus


def watchdog_words(reading: Reading | None) -> str:
    """Say what is known of a watchdog's timer."""
    if reading is None:
        return "-"
    if reading.armed is Armed.ARMED and reading.time_left_seconds is not None:
        return f"armed, {reading.time_left_seconds:.1f} s left"
    return str(reading.armed)


def state_words(status: DomainStatus) -> str:
    """Say where a domain is: what is seen of it, or why nothing is to be seen."""
    if status.moved_to:
        return f"moved to {status.moved_to}"
    if status.state is RunState.ABSENT and status.desired in {Desired.SAVED, Desired.STOPPED}:
        return str(status.desired)
    return str(status.state)


@click.command
@click.argument("domain", required=False)
@host_option
@json_option
def command(domain: str | None, host_path: Path | None, as_json: bool) -> None:
    """Show one DOMAIN, or all of this host: state, owner, and what is unfinished.

    What an earlier run left unfinished is settled first, as far as it goes now. While another
    process acts on a domain this only looks, and says so.
    """
    from domwarden.cli.with_warden import run

    found = run(host_path, lambda warden: warden.status(domain, observer=tell_settled))
    if as_json:
        output.as_json([status.as_json() for status in found])
        return
    rows = [
        (
            s.name,
            state_words(s),
            s.engine,
            s.owner,
            s.epoch,
            watchdog_words(s.watchdog),
            s.expiries,
            attention(s),
        )
        for s in found
    ]
    columns = ("domain", "state", "engine", "owner", "epoch", "watchdog", "expiries", "attention")
    output.table(columns, rows)
