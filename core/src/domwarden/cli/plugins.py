"""``domwarden plugins``: who is in the room."""

from __future__ import annotations

import dataclasses
import sys

import click

from domwarden.cli import output
from domwarden.cli.options import json_option


@click.command
@json_option
def command(as_json: bool) -> None:
    """List every installed driver with its distribution, version, contract, hooks and options.

    Exits 1 when a driver is broken; the others work all the same.
    """
    from domwarden.plugins import installed

    drivers = installed()
    if as_json:
        output.as_json([dataclasses.asdict(driver) for driver in drivers])
    else:
        rows = [
            (d.kind, d.name, f"{d.distribution} {d.version}", d.contract,
             ", ".join(d.hooks), ", ".join(d.options))
            for d in drivers if not d.error
        ]  # fmt: skip
        output.table(("kind", "name", "distribution", "contract", "hooks", "options"), rows)
        for driver in drivers:
            if driver.error:
                output.say(driver.error)
    sys.exit(1 if any(driver.error for driver in drivers) else 0)
