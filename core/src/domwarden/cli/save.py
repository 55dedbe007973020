"""``domwarden save``: a running domain into a directory."""

from __future__ import annotations

from pathlib import Path

import click

from domwarden.cli import early, output
from domwarden.cli.options import domain_argument, host_option, json_option


@click.command
@domain_argument
@click.argument("path", type=click.Path(path_type=Path))
@host_option
@json_option
def command(domain: str, path: Path, host_path: Path | None, as_json: bool) -> None:
    """Save DOMAIN to PATH (a directory that must not exist yet) and end it here."""
    with early.driver() as driver:
        from domwarden.cli.progress import shown
        from domwarden.cli.with_warden import run

        with shown() as observer:
            saved = run(
                host_path,
                lambda warden: warden.save(domain, path.absolute(), observer=observer),
                driver=driver,
            )
    if as_json:
        output.as_json(saved.as_json())
    else:
        output.say(f"{domain}: saved to {saved.path} in {saved.total_seconds:.2f} s")
