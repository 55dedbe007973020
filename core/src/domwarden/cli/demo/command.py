"""The verb of the demonstration."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from domwarden.cli import output
from domwarden.cli.options import json_option

if TYPE_CHECKING:
    from domwarden.cli.demo.files import Files
    from domwarden.cli.demo.scenario import Story

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
    from domwarden.cli.demo import files, telling

    if (engine == "qemu") != (guest is not None):
        raise click.UsageError("--guest goes with --engine qemu: see `make demo ENGINE=qemu`")
    described = json.load(guest) if guest else {}
    boot = {key: described[key] for key in ("kernel", "cmdline") if key in described}
    where = files.directory_of(directory)
    try:
        timeout_seconds = TIMEOUTS[engine]
        written = files.write(where, engine, boot, f"{timeout_seconds}s")
        story = asyncio.run(_play(written, timeout_seconds))
    finally:
        if directory is None:
            shutil.rmtree(where, ignore_errors=True)
    telling.draw(story, picture)
    if as_json:
        spans = [dataclasses.asdict(span) for span in story.timeline.spans()]
        facts = {"reset_after_seconds": story.reset_after_seconds, "spans": spans}
        output.as_json({**story.moved.as_json(), **facts})
        return
    telling.tell(story, picture)


async def _play(written: Files, timeout_seconds: int) -> Story:
    """Play the story between two wardens of this process."""
    from domwarden.cli.demo.place import Here
    from domwarden.cli.demo.scenario import play
    from domwarden.cli.progress import display
    from domwarden.config import load_domain, load_host
    from domwarden.warden import Warden

    definition = load_domain(written.domain)
    with display() as screen:
        async with Warden(load_host(written.host_a)) as a, Warden(load_host(written.host_b)) as b:
            here, there = Here(a, definition), Here(b, definition)
            return await play(here, there, definition.engine, timeout_seconds, screen)
