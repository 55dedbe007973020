"""YAML text to domains and hosts, or every problem at once."""

from domwarden.config.files import check_files, load_domain, load_host
from domwarden.config.host import HostFile, Peer
from domwarden.config.json_schema import json_schema

__all__ = ["HostFile", "Peer", "check_files", "json_schema", "load_domain", "load_host"]
