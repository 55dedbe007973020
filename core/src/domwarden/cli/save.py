"""``domwarden save``: a running domain into a directory."""

from __future__ import annotations

from pathlib import Path

import click

from domwarden.cli import output
from domwarden.cli.options import domain_argument, host_option, json_option


@click.command
@domain_argument
@click.argument("path", type=click.Path(path_type=Path))
@host_option
@json_option
def command(domain: str, path: Path, host_path: Path | None, as_json: bool) -> None:
    """Save DOMAIN to PATH (a directory that must not exist yet) and end it here.

    Ctrl-C ends this command only: the save goes on.
    """
    from domwarden.cli.moving import moved

    there = path.absolute()
    saved = moved(
        host_path,
        "saves",
        {"domain": domain, "path": str(there)},
        lambda warden, observer: warden.save(domain, there, observer=observer),
    )
    if as_json:
        output.as_json(saved)
    else:
        output.say(f"{domain}: saved to {saved['path']}{output.seconds(saved, 'in')}")
