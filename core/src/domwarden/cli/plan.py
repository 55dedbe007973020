"""``domwarden plan``: everything that would block a move, from both ends, at once."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from domwarden.cli import output
from domwarden.cli.options import domain_argument, host_option, json_option


@click.command
@domain_argument
@click.option("--to", "peer", required=True, metavar="HOST", help="A peer of the host file.")
@host_option
@json_option
def command(domain: str, peer: str, host_path: Path | None, as_json: bool) -> None:
    """Say what a migration of DOMAIN would do and what blocks it; change nothing.

    What an earlier run left unfinished is told, not settled.

    Exits 0 when it can move, 1 when it cannot.
    """
    from domwarden.cli.with_warden import run

    made = run(host_path, lambda warden: warden.plan(domain, peer))
    if as_json:
        output.as_json(made.as_json())
        sys.exit(1 if made.refusals else 0)
    for one in made.unfinished:
        click.echo(f"first: {one}")
    if made.refusals:
        output.refusals(made.refusals)
    else:
        for step in made.steps:
            click.echo(step)
        click.echo(f"predicted blackout: {made.predicted_blackout_seconds * 1000:.0f} ms")
    sys.exit(1 if made.refusals else 0)
