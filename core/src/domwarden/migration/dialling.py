"""The dialling end of a TLS connection between two hosts."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

from domwarden.contract import PermanentError, TransientError, tls
from domwarden.migration import wire
from domwarden.migration.command import Reached

if TYPE_CHECKING:
    from domwarden.config import Address
    from domwarden.contract import Tls

#: How long it may take until both ends know each other.
DIAL_SECONDS = 10.0
_CLOSE_SECONDS = 2.0
_COMPARE = "compare `domwarden pki show` and the host files of both"


class Dialled(Reached):
    """A connection to a peer that has shown who it is."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.remedy = f"its log says why; {_COMPARE}"

    @classmethod
    async def start(cls, peer: str, address: Address, credentials: Tls) -> Reached:
        """Dial; nothing is sent before the other end has shown a certificate of that name.

        Raises TransientError where nobody answers, PermanentError for a certificate that is not
        the peer's, and for files of this host that do not serve.
        """
        context = await asyncio.to_thread(tls.context, credentials, server=False)
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                reader, writer = await asyncio.open_connection(
                    address.host, address.port, ssl=context, limit=wire.LIMIT_BYTES
                )
        except ssl.SSLError as error:
            raise PermanentError(
                f"{peer} cannot be reached at {address}: {tls.why(error)}", hint=_COMPARE
            ) from error
        except OSError as error:
            why = tls.why(error)
            if isinstance(error, TimeoutError) and not error.strerror:
                why = f"no answer in {DIAL_SECONDS:g} s"
            raise TransientError(
                f"{peer} cannot be reached at {address}: {why}",
                hint="does its domwarden listen there? see `listen` in its host file",
            ) from error
        named = tls.names(writer.get_extra_info("peercert"))
        if peer not in named:
            writer.transport.abort()
            raise PermanentError(
                f"who answers at {address} for {peer} shows a certificate of"
                f" {', '.join(sorted(named)) or 'nobody'}",
                hint="correct the peer's address in the host file",
            )
        return cls(reader, writer)

    async def last_words(self) -> str:
        """Say that there were none: whoever refuses us tells us nothing."""
        return "it closed the connection before it greeted"

    async def end(self, patience_seconds: float) -> None:
        """Say that nothing more comes, and wait for the peer to close."""
        try:
            async with asyncio.timeout(patience_seconds):
                self.writer.write(wire.encode({"end": 1}))
                while await self.reader.read(65536):
                    pass
        except OSError:  # a time-out is one, too
            self.writer.transport.abort()
        self.writer.close()
        with contextlib.suppress(OSError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.writer.wait_closed()
