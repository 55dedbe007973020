"""The messages of ``xl migrate``, told apart by length and state.

They are fixed texts (Xen 4.17, tools/xl/xl.h), most of them with their final zero.  What arrives is
cut anywhere: two messages in one read, or one in five.
"""

from __future__ import annotations

import enum

#: The receiver's first word; the only one without a final zero.
BANNER = b"xl migration receiver ready, send binary domain data.\n"
#: The receiver has the whole domain, and holds it.
READY = b"domain received, ready to unpause\0"
#: The sender gave its copy away; from a receiver that failed: the sender may have it back.
GO = b"domain is yours, you are cleared to unpause\0"
#: One byte follows: 0, or why the receiver did not start its copy.
REPORT = b"my copy unpause results are as follows\0"
#: What a receiver says that started its copy.
STARTED = REPORT + b"\0"
#: What a receiver says that destroyed its copy instead: the sender resumes.
GIVEN_BACK = REPORT + b"\1" + GO


class MessageError(ValueError):
    """xl said something else than the message that was due."""


class Heard(enum.StrEnum):
    """A message that is complete."""

    BANNER = "banner"
    READY = "ready"
    GO = "go"
    #: The receiver started its copy.
    STARTED = "started"
    #: The receiver did not start its copy.
    REFUSED = "refused"
    #: The receiver destroyed its copy after that.
    GIVEN_BACK = "given-back"


class ReceiverWords:
    """Reads what ``xl migrate-receive`` writes: banner, ready, report with its byte, permission."""

    def __init__(self) -> None:
        self._due: list[tuple[Heard, bytes]] = [(Heard.BANNER, BANNER), (Heard.READY, READY)]
        self._buffer = bytearray()
        self._reported = False
        #: The byte behind the report; None before.
        self.status: int | None = None

    def feed(self, data: bytes) -> list[Heard]:
        """Take more bytes; returns the messages that are complete by now.

        Raises MessageError for bytes that are not the message that is due.
        """
        self._buffer += data
        heard = []
        while (message := self._next()) is not None:
            heard.append(message)
        return heard

    def _next(self) -> Heard | None:
        if self._due:
            name, text = self._due[0]
            if not _taken(self._buffer, text):
                return None
            del self._due[0]
            return name
        if self.status is None:
            return self._report()
        if self._buffer:
            raise MessageError(f"xl said {bytes(self._buffer[:60])!r} after its last message")
        return None

    def _report(self) -> Heard | None:
        if not self._reported:
            self._reported = _taken(self._buffer, REPORT)
        if not self._reported or not self._buffer:
            return None
        self.status = self._buffer.pop(0)
        if self.status == 0:
            return Heard.STARTED
        self._due = [(Heard.GIVEN_BACK, GO)]
        return Heard.REFUSED


class SenderWords:
    """Reads what ``xl migrate`` writes: the stream until *ready* was passed on to it, then *go*.

    xl writes nothing between the stream's end and *go*, so what it was told tells them apart.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        #: *Ready* was passed on: what comes from now on is *go*.
        self.told = False
        self.went = False

    def feed(self, data: bytes) -> tuple[bytes, list[Heard]]:
        """Take more bytes; returns those of the stream, and the messages that are complete by now.

        Raises MessageError for bytes that are neither.
        """
        if not self.told:
            return data, []
        self._buffer += data
        if not self.went and _taken(self._buffer, GO):
            self.went = True
            if not self._buffer:
                return b"", [Heard.GO]
        if self.went and self._buffer:
            raise MessageError(f"xl said {bytes(self._buffer[:60])!r} after its last message")
        return b"", []


def _taken(buffer: bytearray, text: bytes) -> bool:
    """Remove the message from the buffer's start, if all of it is there."""
    if buffer[: len(text)] != text[: len(buffer)]:
        raise MessageError(f"xl said {bytes(buffer[:60])!r}, not {text!r}")
    if len(buffer) < len(text):
        return False
    del buffer[: len(text)]
    return True
