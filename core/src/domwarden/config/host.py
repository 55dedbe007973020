"""Turns a host file into what its host is and whom it knows, or into every problem it has."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from pathlib import Path
from typing import Any

from domwarden.config import keys
from domwarden.config.domain import is_mapping
from domwarden.config.link import Address
from domwarden.config.nodes import Mapping, Mark, Node
from domwarden.config.report import Report
from domwarden.config.schemas import host_section
from domwarden.config.sections import check
from domwarden.config.wording import did_you_mean
from domwarden.contract import DriverError, Host, Stream, Tls, relative_to
from domwarden.plugins import Kind, load
from domwarden.plugins.offers import names

_SECTIONS = ("peers", "drivers")


@dataclasses.dataclass(frozen=True)
class Peer:
    """Another host: its name, and the one way to it: an address, a command, its host file here."""

    name: str
    config: Path | None = None
    command: tuple[str, ...] = ()
    #: How long one on another machine may say nothing until it counts as gone.
    silence_seconds: float = 15.0
    address: Address | None = None
    #: Whether it may have this host emptied; only an address shows who asks.
    may_evacuate: bool = False


@dataclasses.dataclass(frozen=True)
class HostFile:
    """What a host file says."""

    host: Host
    peers: AbstractMapping[str, Peer] = dataclasses.field(default_factory=dict)
    #: Where its peers reach it.
    listen: Address = dataclasses.field(default_factory=Address)
    #: Where the host's service answers, if the file says it.
    socket: Path | None = None

    @property
    def socket_path(self) -> Path:
        """Where the host's service answers."""
        return self.socket or self.host.state_directory / "domwarden.sock"


def read_host(root: Mapping, directory: Path, report: Report) -> HostFile | None:
    """Return what the file says; None when the report says what is wrong with it.

    Paths in the file count from ``directory``.
    """
    with relative_to(directory):
        own = check(report, keys.host_keys(), root, others=_SECTIONS)
        peers = _peers(root, report)
        drivers = _drivers(root, report)
    if own is None or report.problems:
        return None
    host = Host(own["host"], Path(own["state"]), drivers, Stream(own["streams"]), _tls(own))
    listen = Address.parse(own["listen"]) if "listen" in own else Address()
    socket = Path(own["socket"]) if "socket" in own else None
    return HostFile(host, peers, listen=listen, socket=socket)


def _tls(own: AbstractMapping[str, Any]) -> Tls | None:
    if "tls" not in own:
        return None
    given = {key: Path(path) for key, path in own["tls"].items()}
    return dataclasses.replace(Tls.usual(own["host"]), **given)


def _peers(root: Mapping, report: Report) -> dict[str, Peer]:
    found: dict[str, Peer] = {}
    own = root.values.get("host")
    for name, entry, mark in _entries(root, "peers", report):
        path = ("peers", name)
        if not keys.matches(keys.HOST_NAME, name):
            report.add(mark, path, "is no name for a host", keys.NAMED_HOST)
        if own is not None and getattr(own, "value", None) == name:
            report.add(mark, path, "is this host itself", "name other hosts only")
        if is_mapping(entry, mark, path, report):
            read = check(report, keys.peer_keys(), entry, path, at=mark)
            if read is None:
                continue
            ways = [way for way in ("address", "command", "config") if way in read]
            if len(ways) != 1:
                what = f"has {len(ways)} ways to be reached" if ways else "has no way to be reached"
                report.add(mark, path, what, "write one of: address, command, config")
                continue
            if "may_evacuate" in read and ways != ["address"]:
                where = entry.keys["may_evacuate"]
                what = "needs `address`: no other way shows who asks"
                report.add(where, (*path, "may_evacuate"), what, "remove it, or write an address")
                continue
            found[name] = Peer(
                name,
                Path(read["config"]) if "config" in read else None,
                tuple(read.get("command", ())),
                read["silence"],
                Address.parse(read["address"]) if "address" in read else None,
                read.get("may_evacuate", False),
            )
    return found


def _drivers(root: Mapping, report: Report) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, entry, mark in _entries(root, "drivers", report):
        path = ("drivers", name)
        kinds = [kind for kind in Kind if name in names(kind)]
        if not kinds:
            everybody = sorted({known for kind in Kind for known in names(kind)})
            hint = did_you_mean(name, everybody, "installed")
            report.add(mark, path, f"no driver '{name}' is installed", hint)
            continue
        if not is_mapping(entry, mark, path, report):
            continue
        try:
            sections = [host_section(load(kind, name)) for kind in kinds]
        except DriverError as error:
            report.add(mark, path, error.message, error.hint)
            continue
        section = next((section for section in sections if section is not None), None)
        if section is None:
            report.add(mark, path, f"driver '{name}' has no settings in the host file", "remove it")
            continue
        found[name] = check(report, section, entry, path, at=mark) or {}
    return found


def _entries(root: Mapping, section: str, report: Report) -> Iterator[tuple[str, Node, Mark]]:
    node = root.values.get(section)
    if not is_mapping(node, node.mark if node else root.mark, (section,), report):
        return
    for name, entry in node.values.items():
        if report.full:
            return
        yield name, entry, node.keys[name]
