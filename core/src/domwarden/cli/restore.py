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
    """Restore the domain saved at PATH; refused when it has run since.

    Ctrl-C ends this command only: the restore goes on.
    """
    from domwarden.cli.moving import moved

    there = path.absolute()
    restored = moved(
        host_path,
        "restores",
        {"path": str(there), "fenced": fenced},
        lambda warden, observer: warden.restore(there, fenced=fenced, observer=observer),
    )
    if as_json:
        output.as_json(restored)
    else:
        state = {True: "running", False: "paused", None: "restored"}[restored["running"]]
        output.say(f"{restored['domain']}: {state}{output.seconds(restored, 'after')}")
