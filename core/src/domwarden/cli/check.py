"""``domwarden check``: every problem of every file at once."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import click

from domwarden.cli import output
from domwarden.cli.options import json_option


@click.command
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def command(files: tuple[Path, ...], as_json: bool) -> None:
    """Check domain and host files.

    Prints one line a problem: file:line:col: path: what: hint. Exits 0 when all is well, 1 when
    there are problems, 2 for wrong usage.
    """
    from domwarden.config import check_files

    problems = check_files(files)
    if as_json:
        output.as_json([dataclasses.asdict(problem) for problem in problems])
    else:
        for problem in problems:
            click.echo(str(problem))
        if not problems:
            output.say(f"{len(files)} file{'s' * (len(files) != 1)} in order")
    sys.exit(1 if problems else 0)
