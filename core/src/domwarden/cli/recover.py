"""``domwarden recover``: settle what an earlier run left unfinished."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
    from domwarden.cli.asking import as_data, followed, service
    from domwarden.cli.attention import STUCK
    from domwarden.cli.progress import shown

    settled: Sequence[Mapping[str, Any]]
    with shown() as heard:
        if (there := service(host_path)) is not None:
            settled = followed(there, "recoveries", {}, heard)
        else:
            from domwarden.cli.with_warden import run

            observer = as_data(heard)
            found = run(host_path, lambda warden: warden.recover(observer=observer))
            settled = [one.as_json() for one in found]
    if as_json:
        output.as_json(settled)
    else:
        for one in settled:
            click.echo(f"{one['domain']}: {one['outcome']}: {one['detail']}")
        if not settled:
            output.say("nothing is unfinished")
    sys.exit(1 if any(one["outcome"] in STUCK for one in settled) else 0)
