"""``domwarden migrate``: move a running domain with all its devices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from domwarden.cli import output
from domwarden.cli.options import domain_argument, host_option, json_option

if TYPE_CHECKING:
    from domwarden.migration import Timeline


@click.command
@domain_argument
@click.option("--to", "peer", required=True, metavar="HOST", help="A peer of the host file.")
@click.option("--timeline", is_flag=True, help="Print every step and device afterwards.")
@click.option(
    "--picture", type=click.Path(path_type=Path), metavar="FILE", help="Draw the timeline (SVG)."
)
@host_option
@json_option
def command(
    domain: str,
    peer: str,
    timeline: bool,
    picture: Path | None,
    host_path: Path | None,
    as_json: bool,
) -> None:
    """Move DOMAIN to a peer, or refuse with every reason.

    Ctrl-C ends this command only: the move goes on.
    """
    from domwarden.cli.moving import moved

    told: list[Mapping[str, Any]] = []
    done = moved(
        host_path,
        "migrations",
        {"domain": domain, "to": peer},
        lambda warden, observer: warden.migrate(domain, peer, observer=observer),
        hear=told.append,
    )
    if picture:
        from domwarden.cli.picture import svg

        picture.write_text(svg(_timeline(told), f"{domain}: {done['source']} → {peer}"))
    if as_json:
        output.as_json({**done, **({"moments": told} if timeline else {})})
        return
    if timeline:
        from domwarden.cli.chart import text

        for line in text(_timeline(told)):
            click.echo(line)
    seconds = done["blackout_seconds"]
    blackout = "" if seconds is None else f", blackout {seconds * 1000:.0f} ms"
    output.say(f"{domain}: on {done['destination']}{output.seconds(done, 'after')}{blackout}")


def _timeline(told: Iterable[Mapping[str, Any]]) -> Timeline:
    from domwarden.migration import Moment, Timeline  # here, because it takes long to load

    made = Timeline()
    for moment in told:
        made(Moment.from_json(moment))
    return made
