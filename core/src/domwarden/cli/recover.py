"""``domwarden recover``: settle what an earlier run left unfinished."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from domwarden.cli import output
from domwarden.cli.options import host_option, json_option


@click.command
@host_option
@json_option
def command(host_path: Path | None, as_json: bool) -> None:
    """Settle every unfinished operation of this host's journal.

    Exits 1 when something waits for a person's decision.
    """
    from domwarden.cli.progress import shown
    from domwarden.cli.with_warden import run
    from domwarden.migration import Outcome

    with shown() as observer:
        settled = run(host_path, lambda warden: warden.recover(observer=observer))
    if as_json:
        output.as_json([one.as_json() for one in settled])
    else:
        for one in settled:
            click.echo(f"{one.domain}: {one.outcome}: {one.detail}")
        if not settled:
            output.say("nothing is unfinished")
    stuck = {Outcome.UNKNOWN, Outcome.WAITING, Outcome.BROKEN}
    sys.exit(1 if any(one.outcome in stuck for one in settled) else 0)
