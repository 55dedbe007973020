"""TLS on a link, between its socket and its pieces."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Mapping

#: What is read from TLS at once.
_PLAIN_BYTES = 1024 * 1024
#: A record that has come in part hides in OpenSSL's own buffer (RFC 8446, 5.2: 2**14 + 256 bytes).
RECORD_BYTES = 2**14 + 256 + 5


class SecureError(Exception):
    """The other end is not who is expected, or does not speak TLS; its text says which."""


@dataclasses.dataclass(frozen=True)
class Terms:
    """On which terms an end talks: by which files, to which host."""

    context: ssl.SSLContext
    server: bool
    #: The only host that the other end's certificate may name here.
    peer: str

    @classmethod
    def of(cls, order: Mapping[str, str] | None, *, server: bool) -> Terms | None:
        """Return those of a shim's order, None for a plain stream; reads files.

        Raises OSError, of which ssl.SSLError is one.  The same rules as the wardens' own link
        (domwarden.contract.tls, which would cost a shim more to load than all the rest of it).
        """
        if order is None:
            return None
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname = False  # hosts are known by their names, not by their addresses
        made.verify_mode = ssl.CERT_REQUIRED
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        if server:
            made.num_tickets = 0  # a session that is taken up again shows no certificate
        made.load_verify_locations(order["authority"])
        made.load_cert_chain(order["certificate"], order["key"], password="")
        return cls(made, server, order["peer"])

    def begin(self) -> Secure:
        """Return one end of a connection."""
        return Secure(self)


class Secure:
    """One end of TLS; it is given bytes and gives bytes, and touches no socket."""

    def __init__(self, terms: Terms) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = terms.context.wrap_bio(self._in, self._out, server_side=terms.server)
        self._peer = terms.peer
        self._waiting = bytearray()
        self._proven = False

    def wrap(self, data: bytes) -> bytes:
        """Return what to send for ``data``, which waits until the other end is known.

        Raises SecureError.
        """
        if self._proven:
            self._tls.write(data)
        else:
            self._waiting += data
            self._shake_hands()
        return self._out.read()

    def unwrap(self, data: bytes) -> tuple[bytes, bytes]:
        """Take what came; return what it says, and what to send in answer; raises SecureError."""
        self._in.write(data)
        if not self._proven and not self._shake_hands():
            return b"", self._out.read()
        heard = []
        try:
            while piece := self._tls.read(_PLAIN_BYTES):
                heard.append(piece)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass  # more follows, or the socket's end
        except ssl.SSLError as error:
            raise SecureError(why(error)) from error
        return b"".join(heard), self._out.read()

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise SecureError(why(error)) from error
        shown = self._tls.getpeercert() or {}
        listed = [pair[1] for pair in shown.get("subjectAltName", ()) if pair[0] == "DNS"]
        if self._peer not in listed:
            raise SecureError(f"its certificate names {listed}, not {self._peer!r}")
        self._proven = True
        if self._waiting:
            self._tls.write(bytes(self._waiting))
            self._waiting.clear()
        return True


def why(error: OSError) -> str:
    """Say in a few words what is wrong with a connection or its files."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not hold: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).lower().replace('_', ' ')}"
    return error.strerror or str(error)
