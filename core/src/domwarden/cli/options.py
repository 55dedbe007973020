"""Options and arguments that several verbs share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from domwarden.config import HostFile

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

#: Where the host file is when neither the option nor the environment names one.
DEFAULT_HOST_FILE = Path("/etc/domwarden/host.yaml")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")

host_option = click.option(
    "-H",
    "--host-file",
    "host_path",
    type=click.Path(path_type=Path),
    envvar="DOMWARDEN_HOST",
    help=f"The host file (default: $DOMWARDEN_HOST, else {DEFAULT_HOST_FILE}).",
)

domain_argument = click.argument("domain")


def host_file(path: Path | None) -> HostFile:
    """Load the host file; without any, a host of this machine's name with state in the usual place.

    Raises ConfigError.
    """
    from domwarden.config import HostFile, load_host  # here, because `--help` must not pay for it
    from domwarden.contract.domain import Host

    if path is None and not DEFAULT_HOST_FILE.exists():
        return HostFile(host=Host(name=os.uname().nodename, state_directory=usual_state()))
    return load_host(path or DEFAULT_HOST_FILE)


def usual_state() -> Path:
    """Return the state directory of a host without a host file."""
    if os.geteuid() == 0:
        return Path("/var/lib/domwarden")
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    return state / "domwarden"
