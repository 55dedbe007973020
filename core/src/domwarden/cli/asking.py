"""Finds this host's service, which a verb asks where it listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domwarden.cli.options import DEFAULT_HOST_FILE, host_file, usual_state
from domwarden.client.dialling import listening
from domwarden.client.hostfile import SOCKET, socket_in

if TYPE_CHECKING:
    from domwarden.cli.progress import Hear
    from domwarden.client.connection import Service
    from domwarden.migration import Moment


def service(host_path: Path | None) -> Service | None:
    """Return this host's service; None where it does not listen, and the verb acts by itself.

    Raises ConfigError.
    """
    if host_path is None and not DEFAULT_HOST_FILE.exists():
        path = usual_state() / SOCKET
    else:
        found = socket_in(host_path or DEFAULT_HOST_FILE)
        path = found or host_file(host_path).socket_path
    connected = listening(path)
    if connected is None:
        return None
    from domwarden.client.connection import Service  # here: a host without one need not load it

    return Service(path, connected)


def named(name: str) -> str:
    """Return a name as it stands in a path of the API."""
    from urllib.parse import quote

    return quote(name, safe="")


def followed(there: Service, where: str, body: Mapping[str, Any], hear: Hear) -> Any:
    """Begin what takes long and follow it; returns its result, or raises what its problem means.

    ``hear`` is told each moment.
    """
    from domwarden.client.following import follow

    def heard(kind: str, data: Mapping[str, Any]) -> None:
        if kind == "moment":
            hear(data)

    begun = there.ask("POST", f"/v1/{where}", body)
    kind = "operations" if "kind" in begun else "migrations"
    return result_of(follow(there, f"/v1/{kind}/{begun['id']}", heard))


def result_of(ended: Mapping[str, Any]) -> Any:
    """Return the result of what ended, or raise what its problem means."""
    if ended["problem"] is not None:
        from domwarden.client.problems import error_of  # here, because it loads the contract

        raise error_of(ended["problem"])
    if ended["result"] is not None:
        return ended["result"]
    # The service that began it is gone: the journal knows how it ended, and no figures.
    if ended["state"] != "succeeded":
        from domwarden.contract import DomwardenError  # as above

        raise DomwardenError(f"the {ended['movement']} failed; the domain: {ended['outcome']}")
    known = {"domain": ended["domain"], "migration": ended["id"], "total_seconds": None}
    if ended["movement"] == "migrate":
        known |= {"source": "", "destination": ended["peer"], "blackout_seconds": None}
    else:
        known |= {"path": ended["peer"], "running": None}
    return {**known, "alarms": []}


def as_data(hear: Hear) -> Callable[[Moment], None]:
    """Return an observer that hands moments on as plain data."""
    return lambda moment: hear(moment.as_json())
