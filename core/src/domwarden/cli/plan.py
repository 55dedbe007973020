"""``domwarden plan``: everything that would block a move, from both ends, at once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
    from domwarden.cli.asking import named, service

    if (there := service(host_path)) is not None:
        made = there.ask("GET", f"/v1/domains/{named(domain)}/plan?to={named(peer)}")
    else:
        from domwarden.cli.with_warden import run

        made = run(host_path, lambda warden: warden.plan(domain, peer)).as_json()
    if as_json:
        output.as_json(made)
        sys.exit(1 if made["refusals"] else 0)
    for one in made["unfinished"]:
        click.echo(f"first: {unfinished_words(one)}")
    if made["refusals"]:
        output.refusals(made["refusals"])
    else:
        for step in made["steps"]:
            click.echo(step)
        click.echo(f"predicted blackout: {made['predicted_blackout_seconds'] * 1000:.0f} ms")
    sys.exit(1 if made["refusals"] else 0)


def unfinished_words(move: Mapping[str, Any]) -> str:
    """Say what an earlier run left, and the next action that settles it."""
    way = "to" if move["end"] == "source" else "from"
    why = f" ({move['why']})" if move["why"] else ""
    return f"{move['movement']} {move['migration']} {way} {move['peer']}: {move['action']}{why}"
