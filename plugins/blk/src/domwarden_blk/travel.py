"""How a disk's bytes travel between two hosts, and who may be at the other end."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Mapping
from typing import Any

from domwarden.contract import (
    Domain,
    Host,
    PermanentError,
    Refusal,
    Stream,
    stream_at,
    stream_refusals,
)


@dataclasses.dataclass(frozen=True)
class Secured:
    """TLS on one connection: with this host's files, to or from exactly that peer."""

    host: Host
    peer: str

    def context(self, *, server: bool) -> ssl.SSLContext:
        """Make the settings of one end; reads files, raises PermanentError."""
        from domwarden.contract import tls  # here: OpenSSL costs start-up time

        return tls.context(self.host.credentials, server=server)

    def require(self, certificate: Mapping[str, Any] | None) -> None:
        """Raise PermanentError unless a verified certificate is the peer's."""
        from domwarden.contract import tls  # as above

        tls.require(certificate, self.peer)


def arriving(domain: Domain) -> tuple[str, Stream]:
    """Return the address at which this host takes disks, empty for a socket, and how they come."""
    address = str(domain.host.settings("blk").get("address", ""))
    return address, stream_at(domain.host, address)


def secured(domain: Domain, address: Mapping[str, Any]) -> Secured | None:
    """Return how the source reaches an address that the destination gave; None: without TLS.

    Raises PermanentError where this host's file does not allow what the other one wants.
    """
    if address["type"] != "inet":
        return None
    stream = stream_at(domain.host, str(address["host"]))
    if stream != address.get("stream"):
        raise PermanentError(
            f"{domain.peer} takes disks {address.get('stream')}, {domain.host.name} sends {stream}",
            hint="write the same `streams` into both host files",
        )
    return Secured(domain.host, domain.peer) if stream is Stream.TLS else None


async def travel_refusals(domain: Domain) -> list[Refusal]:
    """Return what the destination has against the way that the disk would come."""
    _, stream = arriving(domain)
    found = await stream_refusals(domain.host, stream)
    theirs = (domain.ticket or {}).get("streams", domain.host.streams)
    if not found and stream is not Stream.LOCAL and theirs != domain.host.streams:
        reason = f"{domain.peer} sends disks {theirs} only, {domain.host.name} takes them {stream}"
        remedy = "write the same `streams` (tls or plain) into both host files"
        found = [Refusal("plain-stream", reason, remedy)]
    return found
