"""The verb of the demonstration."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
from pathlib import Path
from typing import TextIO

import click

from domwarden.cli import output
from domwarden.cli.options import json_option

#: Seconds of watchdog time-out: what the slowest emulated guest can surely keep.
TIMEOUTS = {"embedded": 3, "qemu": 10}


@click.command
@click.option("--engine", type=click.Choice(tuple(TIMEOUTS)), default="embedded", show_default=True)
@click.option(
    "--guest",
    type=click.File(),
    metavar="FILE",
    help="For qemu: what to boot, as JSON with kernel (its initramfs within) and cmdline.",
)
@click.option("--directory", type=click.Path(path_type=Path), help="Keep the files there.")
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    default=Path("domwarden-demo.svg"),
    show_default=True,
    help="Where the timeline is drawn.",
)
@json_option
def command(
    engine: str,
    guest: TextIO | None,
    directory: Path | None,
    picture: Path,
    as_json: bool,
) -> None:
    """Guard a domain from outside, hang it, see it reset, and move it with all its devices."""
    from domwarden.cli.chart import seconds, text
    from domwarden.cli.demo import files, scenario
    from domwarden.cli.picture import svg
    from domwarden.cli.progress import display

    if (engine == "qemu") != (guest is not None):
        raise click.UsageError("--guest goes with --engine qemu: see `make demo ENGINE=qemu`")
    described = json.load(guest) if guest else {}
    boot = {key: described[key] for key in ("kernel", "cmdline") if key in described}
    where = scenario.directory_of(directory)
    try:
        timeout_seconds = TIMEOUTS[engine]
        written = files.write(where, engine, boot, f"{timeout_seconds}s")
        with display() as screen:
            story = asyncio.run(scenario.play(written, timeout_seconds, screen))
    finally:
        if directory is None:
            shutil.rmtree(where, ignore_errors=True)
    moved = story.moved
    picture.write_text(svg(story.timeline, f"{moved.domain}: {moved.source} → {moved.destination}"))
    if as_json:
        spans = [dataclasses.asdict(span) for span in story.timeline.spans()]
        facts = {"reset_after_seconds": story.reset_after_seconds, "spans": spans}
        output.as_json({**moved.as_json(), **facts})
        return
    for line in text(story.timeline):
        click.echo(line)
    output.say(f"moved in {seconds(moved.total_seconds)}; the timeline is drawn in {picture}")
