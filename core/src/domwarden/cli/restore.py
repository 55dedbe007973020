"""``domwarden restore``: a saved domain comes back."""

from __future__ import annotations

from pathlib import Path

import click

from domwarden.cli import output
from domwarden.cli.options import host_option, json_option


@click.command
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--fenced", multiple=True, metavar="HOST", help="This peer is known to be dead.")
@host_option
@json_option
def command(path: Path, fenced: tuple[str, ...], host_path: Path | None, as_json: bool) -> None:
    """Restore the domain saved at PATH; refused when it has run since."""
    from domwarden.cli.progress import shown
    from domwarden.cli.with_warden import run

    with shown() as observer:
        restored = run(
            host_path,
            lambda warden: warden.restore(path.absolute(), observer=observer),
            fenced=fenced,
        )
    if as_json:
        output.as_json(restored.as_json())
    else:
        state = "running" if restored.running else "paused"
        output.say(f"{restored.domain}: {state} after {restored.total_seconds:.2f} s")
