"""``domwarden guard``: the daemon that kicks this machine's watchdogs."""

from __future__ import annotations

from pathlib import Path

import click

from domwarden.cli.options import json_option

#: Where the guard file is when none is named.
DEFAULT_GUARD_FILE = Path("/etc/domwarden/guard.yaml")


@click.command
@click.argument("file", required=False, type=click.Path(path_type=Path))
@json_option
def command(file: Path | None, as_json: bool) -> None:
    """Kick this machine's watchdogs as long as the checks of FILE pass.

    Without FILE, /etc/domwarden/guard.yaml; without that, every watchdog is kicked and nothing is
    checked. TERM hands the watchdogs over to a shutdown, USR1 disarms them, HUP reads FILE again.
    """
    from domwarden.config import GuardFile, default_guard, load_guard
    from domwarden.guard.daemon import run
    from domwarden.guard.talk import log_to_stderr

    def read() -> GuardFile:
        if file is None and not DEFAULT_GUARD_FILE.exists():
            return default_guard()
        return load_guard(file or DEFAULT_GUARD_FILE)

    log_to_stderr(as_json=as_json)
    run(read)
