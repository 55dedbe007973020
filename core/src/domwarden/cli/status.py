"""``domwarden status``: domains, their watchdogs, unfinished work."""

from __future__ import annotations

from pathlib import Path

import click

from domwarden.cli import output
from domwarden.cli.options import host_option, json_option
from domwarden.contract.watchdog import Armed, Reading


def watchdog_words(reading: Reading | None) -> str:
    """Say what is known of a watchdog's timer."""
    if reading is None:
        return "-"
    if reading.armed is Armed.ARMED and reading.time_left_seconds is not None:
        return f"armed, {reading.time_left_seconds:.1f} s left"
    return str(reading.armed)


@click.command
@click.argument("domain", required=False)
@host_option
@json_option
def command(domain: str | None, host_path: Path | None, as_json: bool) -> None:
    """Show one DOMAIN, or all of this host."""
    from domwarden.cli.with_warden import run

    found = run(host_path, lambda warden: warden.status(domain))
    if as_json:
        output.as_json([status.as_json() for status in found])
        return
    rows = [
        (
            s.name,
            f"moved to {s.moved_to}" if s.moved_to else s.state,
            s.engine,
            s.epoch,
            watchdog_words(s.watchdog),
            s.expiries,
            s.broken or (f"unfinished migration {s.migration}" if s.migration else ""),
        )
        for s in found
    ]
    output.table(("domain", "state", "engine", "epoch", "watchdog", "expiries", "attention"), rows)
