"""``domwarden start``: a domain from its file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from domwarden.cli import output
from domwarden.cli.options import host_option, json_option

if TYPE_CHECKING:
    from domwarden.client.connection import Service


@click.command
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--paused", is_flag=True, help="Leave it paused before its first instruction.")
@click.option("--fenced", multiple=True, metavar="HOST", help="This peer is known to be dead.")
@host_option
@json_option
def command(
    file: Path, paused: bool, fenced: tuple[str, ...], host_path: Path | None, as_json: bool
) -> None:
    """Start the domain that FILE defines.

    Every peer of the host file is asked first whether it owns the domain; a silent one counts as
    owner unless it is named with --fenced.
    """
    from domwarden.cli.asking import service

    if (there := service(host_path)) is not None:
        live = _asked(there, file, paused=paused, fenced=fenced)
    else:
        from domwarden.cli.with_warden import run
        from domwarden.config import load_domain

        definition = load_domain(file)
        started = run(
            host_path, lambda warden: warden.start(definition, paused=paused), fenced=fenced
        )
        live = started.as_json()
    if as_json:
        output.as_json(live)
    else:
        output.say(f"{live['name']}: {'paused' if paused else 'running'} on {live['engine']}")


def _asked(there: Service, file: Path, *, paused: bool, fenced: tuple[str, ...]) -> Any:
    from domwarden.contract.errors import ConfigError  # here: `--help` must not pay for it

    body = {"path": str(file.absolute()), "paused": paused, "fenced": fenced}
    try:
        return there.ask("POST", "/v1/domains", body)["definition"]
    except ConfigError as error:  # it names the file as it was asked to read it
        named = [dataclasses.replace(one, file=str(file)) for one in error.problems]
        raise ConfigError(named) from None
