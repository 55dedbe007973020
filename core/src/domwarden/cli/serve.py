"""``domwarden serve``: this host's service."""

from __future__ import annotations

from pathlib import Path

import click

from domwarden.cli.options import host_file, host_option, json_option


@click.command
@host_option
@json_option
def command(host_path: Path | None, as_json: bool) -> None:
    """Answer this host's API on its socket until TERM or INT.

    Ending it leaves every domain running, and every migration to the process that drives it.
    """
    from domwarden.guard.talk import log_to_stderr
    from domwarden.service.server import run

    log_to_stderr(as_json=as_json)
    run(host_file(host_path))
