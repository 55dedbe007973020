"""How streams of memory and disks travel between two hosts, and who may want them plain."""

from __future__ import annotations

import dataclasses
import enum
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

from domwarden.contract.errors import PermanentError
from domwarden.contract.refusals import Refusal

if TYPE_CHECKING:
    from domwarden.contract.domain import Host

#: Where `domwarden pki` writes, and links and streams read.
PKI_DIRECTORY = Path("/etc/domwarden/pki")
#: How the authority's files are called there; no host may be called so.
AUTHORITY = "authority"


class Stream(enum.StrEnum):
    """How a stream travels."""

    #: It stays on the machine: a Unix socket, or a loopback address.
    LOCAL = "local"
    #: Encrypted; each end shows a certificate that names it.
    TLS = "tls"
    #: For whoever can read the network.
    PLAIN = "plain"


@dataclasses.dataclass(frozen=True)
class Tls:
    """The files by which a host knows its peers, and proves who it is itself."""

    authority: Path
    certificate: Path
    key: Path

    @classmethod
    def usual(cls, name: str, directory: Path = PKI_DIRECTORY) -> Tls:
        """Return those that `domwarden pki` makes for the host of that name."""
        return cls(
            directory / f"{AUTHORITY}.pem", directory / f"{name}.pem", directory / f"{name}.key"
        )


def stream_at(host: Host, address: str) -> Stream:
    """Say how a stream travels that this host takes at an IP address; at none it stays here."""
    return Stream.LOCAL if stays_here(address) else host.streams


def stays_here(address: str) -> bool:
    """Say whether nothing of what is sent to an address can leave the machine."""
    try:
        return not address or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False  # a name may mean any address


async def stream_refusals(host: Host, stream: Stream) -> list[Refusal]:
    """Return what a host, either end, has against a stream that travels so; at TEST.

    Nothing travels plain unless the files of both hosts say so, nor encrypted with files that do
    not serve.
    """
    if stream is Stream.LOCAL:
        return []
    if stream is not host.streams:
        theirs, ours = _WORDS[stream], _WORDS[host.streams]
        reason = f"the other host takes streams {theirs}, {host.name} {ours}"
        remedy = "write the same `streams` (tls or plain) into both host files"
        return [Refusal("plain-stream", reason, remedy, host=host.name)]
    if stream is Stream.PLAIN:
        return []
    import asyncio  # here: both cost start-up time

    from domwarden.contract import tls

    try:
        await asyncio.to_thread(tls.check, host)
    except PermanentError as error:
        remedy = error.hint or "make them anew by `domwarden pki`, and see `domwarden pki show`"
        return [Refusal("no-certificate", error.message, remedy, host=host.name)]
    return []


_WORDS = {Stream.TLS: "encrypted only (streams: tls)", Stream.PLAIN: "plain (streams: plain)"}
