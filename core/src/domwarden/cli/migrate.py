"""``domwarden migrate``: move a running domain with all its devices."""

from __future__ import annotations

from pathlib import Path

import click

from domwarden.cli import early, output
from domwarden.cli.options import domain_argument, host_option, json_option


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
    """Move DOMAIN to a peer, or refuse with every reason."""
    with early.driver() as driver:
        from domwarden.cli.progress import shown
        from domwarden.cli.with_warden import run
        from domwarden.migration import Timeline

        heard = Timeline()
        with shown(heard) as observer:
            moved = run(
                host_path,
                lambda warden: warden.migrate(domain, peer, observer=observer),
                driver=driver,
            )
    if picture:
        from domwarden.cli.picture import svg

        picture.write_text(svg(heard, f"{domain}: {moved.source} → {peer}"))
    if as_json:
        moments = {"moments": [moment.as_json() for moment in heard.moments]} if timeline else {}
        output.as_json({**moved.as_json(), **moments})
        return
    if timeline:
        from domwarden.cli.chart import text

        for line in text(heard):
            click.echo(line)
    blackout = (
        ""
        if moved.blackout_seconds is None
        else f", blackout {moved.blackout_seconds * 1000:.0f} ms"
    )
    output.say(f"{domain}: on {moved.destination} after {moved.total_seconds:.2f} s{blackout}")
