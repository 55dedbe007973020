"""``domwarden schema``: what editors need to complete and check domain files."""

from __future__ import annotations

import click

from domwarden.cli import output


@click.command
@click.option("--json", "as_json", is_flag=True, default=True, hidden=True)
def command(as_json: bool) -> None:
    """Print the JSON Schema of the domain file, with the installed drivers' options in it."""
    from domwarden.config import json_schema

    output.as_json(json_schema())
