"""``domwarden peer``: answer another host for this one."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from domwarden.cli.options import host_file, host_option


@click.command
@host_option
def command(host_path: Path | None) -> None:
    """Answer another host's domwarden on standard input and output.

    Not for people: it stands in the other host's file, under peers, after what brings it here.
    """
    from domwarden.migration.peer import serve

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    serve(host_file(host_path))
