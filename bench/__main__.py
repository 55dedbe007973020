"""Runs the benches: ``python bench [--only NAME] [--json] [--quick]``."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import click

HERE = Path(__file__).resolve().parent
if not __package__:  # run as a folder: make the relative imports below work
    sys.path[0] = str(HERE.parent)
    __package__ = "bench"

from .absent import AbsentError  # noqa: E402 - the package has its name only now
from .machine import facts  # noqa: E402 - as above
from .report import Report  # noqa: E402 - as above

BENCHES = ("cli", "dispatch", "check", "timers", "service", "settle", "evacuate", "migrate")
#: Only where it is named: two hosts are emulated for a quarter of an hour.
NAMED = ("xl_migrate",)
RESULTS = HERE / "results"


@click.command()
@click.option(
    "--only", type=click.Choice(BENCHES + NAMED), multiple=True, help="This one; may be repeated."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quick", is_flag=True, help="Few rounds: shows that it runs, measures nothing.")
@click.option("--write", type=click.Path(path_type=Path), help="Write a table to this file too.")
def main(only: tuple[str, ...], as_json: bool, quick: bool, write: Path | None) -> None:
    """Measure domwarden, each figure beside a peer in the same run."""
    where = facts()
    reports = []
    for name in only or BENCHES:
        click.echo(f"{name} ...", err=True)
        try:
            reports.append(importlib.import_module(f".{name}", __package__).run(quick=quick))
        except AbsentError as error:
            if error.required:
                raise click.ClickException(f"{name}: {error}") from error
            click.echo(f"{name}: skipped: {error}", err=True)
            continue
        if not as_json:
            click.echo(reports[-1].markdown())
    found: dict[str, Any] = {
        "machine": where,
        "quick": quick,
        "benches": [report.as_json() for report in reports],
    }
    text = json.dumps(found, indent=1, ensure_ascii=False)
    if as_json:
        click.echo(text)
    if not quick:
        RESULTS.mkdir(exist_ok=True)
        stamp = where["date"].replace(" UTC", "Z").replace(" ", "T").replace(":", "")
        (RESULTS / f"{stamp}.json").write_text(text + "\n")
    if write is not None:
        write.write_text(_document(where, reports))


def _document(where: dict[str, str], reports: list[Report]) -> str:
    lines = ["# Figures of one run", ""]
    lines += ["Written by `python bench --write`; nothing in it was chosen or edited.", ""]
    lines += [f"- {key}: {value}" for key, value in where.items()]
    return "\n".join([*lines, "", *(report.markdown() for report in reports)])


if __name__ == "__main__":
    main()
