"""YAML text to domains and hosts, or every problem at once."""

from domwarden.config.files import check_files, load_domain, load_guard, load_host
from domwarden.config.guard import CheckEntry, GuardFile, HostWatchdogEntry, Repair, default_guard
from domwarden.config.guard_keys import CheckKind
from domwarden.config.host import HostFile, Peer
from domwarden.config.json_schema import json_schema
from domwarden.config.link import Address

__all__ = [
    "Address",
    "CheckEntry",
    "CheckKind",
    "GuardFile",
    "HostFile",
    "HostWatchdogEntry",
    "Peer",
    "Repair",
    "check_files",
    "default_guard",
    "json_schema",
    "load_domain",
    "load_guard",
    "load_host",
]
