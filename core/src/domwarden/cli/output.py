"""Data to stdout, talk to stderr; tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:  # what prints JSON is not to load it
    from rich.console import Console


def as_json(data: object) -> None:
    """Print plain data as one JSON document on stdout."""
    click.echo(json.dumps(data, indent=2, default=str))


def say(message: str) -> None:
    """Tell the person something, on stderr."""
    click.echo(message, err=True)


def seconds(done: Mapping[str, Any], word: str) -> str:
    """Say how long something took, where that is known."""
    total = done["total_seconds"]
    return "" if total is None else f" {word} {total:.2f} s"


def console(*, stderr: bool = False) -> Console:
    """Return a rich console; it honours NO_COLOR and narrows nothing when output is a pipe."""
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal:
        made.width = 200
    return made


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, stderr: bool = False, title: str = ""
) -> None:
    """Print a plain table."""
    from rich.table import Table

    made = Table(*columns, box=None, pad_edge=False, title=title or None, title_justify="left")
    for row in rows:
        made.add_row(*("" if cell is None else str(cell) for cell in row))
    console(stderr=stderr).print(made, markup=False)


def refusals(reasons: Iterable[Mapping[str, str]]) -> None:
    """Print why a domain cannot move, and what to do about it, on stderr."""
    rows = [(r["host"], r["device"] or "-", r["reason"], r["remedy"], r["code"]) for r in reasons]
    table(("host", "device", "reason", "remedy", "code"), rows, stderr=True)
