"""``domwarden start``: a domain from its file."""

from __future__ import annotations

from pathlib import Path

import click

from domwarden.cli import output
from domwarden.cli.options import host_option, json_option


@click.command
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--paused", is_flag=True, help="Leave it paused before its first instruction.")
@click.option("--fenced", multiple=True, metavar="HOST", help="This peer is known to be dead.")
@host_option
@json_option
def command(
    file: Path, paused: bool, fenced: tuple[str, ...], host_path: Path | None, as_json: bool
) -> None:
    """Start the domain that FILE defines.

    Every peer of the host file is asked first whether it owns the domain; a silent one counts as
    owner unless it is named with --fenced.
    """
    from domwarden.cli.with_warden import run
    from domwarden.config import load_domain

    definition = load_domain(file)
    live = run(host_path, lambda warden: warden.start(definition, paused=paused), fenced=fenced)
    if as_json:
        output.as_json(live.as_json())
    else:
        output.say(f"{live.name}: {'paused' if paused else 'running'} on {live.engine}")
