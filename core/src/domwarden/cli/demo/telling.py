"""How the end of the story is told: the timeline on a screen, and as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from domwarden.cli import output
from domwarden.cli.chart import seconds, text
from domwarden.cli.demo.scenario import Story
from domwarden.cli.picture import svg


def draw(story: Story, picture: Path) -> None:
    """Draw the timeline into a file."""
    moved = story.moved
    title = f"{moved.domain}: {moved.source} → {moved.destination}"
    picture.write_text(svg(story.timeline, title))


def tell(story: Story, picture: Path) -> None:
    """Print the timeline, and say where it is drawn."""
    for line in text(story.timeline):
        click.echo(line)
    total = seconds(story.moved.total_seconds)
    output.say(f"moved in {total}; the timeline is drawn in {picture}")
