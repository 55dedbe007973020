"""``domwarden stop``: end a domain."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import click

from domwarden.cli import output
from domwarden.cli.options import domain_argument, host_option, json_option


def _seconds(_context: click.Context, _parameter: click.Parameter, value: str) -> float:
    if value == "0s":
        return 0.0  # without what reads units
    import voluptuous

    from domwarden.contract.units import duration

    try:
        return duration(value)
    except voluptuous.Invalid as error:
        raise click.BadParameter(str(error)) from None


@click.command
@domain_argument
@click.option(
    "--graceful",
    default="0s",
    callback=_seconds,
    help="Ask the guest first, and wait this long for it (30s, 2min).",
)
@host_option
@json_option
def command(domain: str, graceful: Any, host_path: Path | None, as_json: bool) -> None:
    """Stop DOMAIN: at once, or after asking its guest."""
    from domwarden.cli.asking import named, service
    from domwarden.cli.progress import display

    with contextlib.ExitStack() as shown:
        if graceful:
            screen = shown.enter_context(display())
            shown.enter_context(screen.waiting(f"{domain}: asked to shut down", graceful))
        if (there := service(host_path)) is not None:
            there.ask("POST", f"/v1/domains/{named(domain)}/stop", {"graceful_seconds": graceful})
        else:
            from domwarden.cli.with_warden import run

            run(host_path, lambda warden: warden.stop(domain, graceful_seconds=graceful))
    if as_json:
        output.as_json({"domain": domain, "state": "absent"})
    else:
        output.say(f"{domain}: stopped")
