"""``domwarden peer``: answer another host for this one."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from domwarden.cli.options import host_file, host_option


@click.command
@click.option("--listen", is_flag=True, help="Answer every peer that connects, until TERM.")
@host_option
def command(listen: bool, host_path: Path | None) -> None:
    """Answer another host's domwarden on standard input and output.

    Not for people: it stands in the other host's file, under peers, after what brings it here.
    With --listen it is a service, which answers by TLS where the host file says `listen`.
    """
    from domwarden.migration.peer import serve, serve_all

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    if listen:
        logging.getLogger("domwarden").setLevel(logging.INFO)
        serve_all(host_file(host_path))
    else:
        serve(host_file(host_path))
