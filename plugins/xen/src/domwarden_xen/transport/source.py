"""The shim of the source: it plays the receiver for ``xl migrate``."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from . import messages, processes
from .frames import Kind
from .link import Link
from .loop import CHUNK_BYTES, READ, Outlet, widen
from .messages import Heard, MessageError, SenderWords
from .note import LAST, Phase
from .secure import Terms, why
from .shim import Shim
from .stream import Progress, StreamError

_CONNECT_SECONDS = 10.0
#: A destination that holds a whole copy answers at once; a loaded host needs longer.
_ANSWER_SECONDS = 10.0
#: A save is brought to the disk in portions, so that its last one is short.
_SYNC_BYTES = 64 * CHUNK_BYTES
_BEFORE_TOLD = frozenset({Phase.BEGUN, Phase.STREAMING, Phase.SENT, Phase.READY})


class SourceShim(Shim):
    """Runs as the transport command of ``xl migrate``: its input is xl's words, its output ours.

    Until *ready* was passed on, EOF makes xl resume the domain by itself.  From then on it never
    gets one from us: it is told that the copy runs, or to resume.
    """

    def __init__(self, order: Mapping[str, Any]) -> None:
        super().__init__(order)
        self._words = SenderWords()
        self._progress: Progress | None = Progress()
        self._link: Link | None = None
        self._file = -1
        self._unsynced_bytes = 0
        self._asked = False
        self._returning = False
        self._xl_ended = False
        self._xl = Outlet(self._loop, 1, lambda _error: self._xl_gone())
        self._rate = order.get("bytes_per_second")
        self._free_at = 0.0

    def _begin(self) -> None:
        os.set_blocking(0, False)
        widen(0)
        self._reach(Phase.BEGUN, xl=processes.identity(os.getppid()))
        address = self._order["address"]
        try:
            if "file" in address:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                self._file = os.open(address["file"], flags, 0o600)
            else:
                self._connect(address["xen"])
        except OSError as error:
            where = address.get("file") or address["xen"]["host"]
            self._fail(f"{where}: {why(error)}")
            return
        if self._file >= 0:
            self._welcomed()

    def _connect(self, address: Mapping[str, Any]) -> None:
        place = (address["host"], int(address["port"]))
        sock = socket.create_connection(place, _CONNECT_SECONDS)
        self._link = Link(
            self._loop,
            sock,
            silence_seconds=self._silence_seconds,
            room=self._read_on,
            tls=Terms.of(self._order.get("tls"), server=False),
        )
        self._link.tell(self._hear, self._link_lost)
        self._link.keep()
        hello = {"migration": self.note.migration, "token": address["token"]}
        self._link.send(Kind.HELLO, json.dumps(hello).encode())

    def _welcomed(self) -> None:
        if self.note.phase is Phase.BEGUN:
            self._reach(Phase.STREAMING)
            self._xl.push(messages.BANNER)
            self._read_on()

    # -- from xl

    def _read_on(self) -> None:
        full = self._link is not None and self._link.full
        wait = self._free_at - time.monotonic()
        if self._xl_ended:
            return
        if wait > 0 and not full:
            self._loop.want(0, READ, None)
            self._loop.after(wait, self._read_on)
        else:
            self._loop.want(0, READ, None if full else self._read)

    def _read(self) -> None:
        try:
            data = os.read(0, CHUNK_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._xl_gone()
            return
        try:
            stream, heard = self._words.feed(data)
        except MessageError as error:
            self._trouble(str(error))
            return
        if stream:
            self._send(stream)
            self._read_on()
        if Heard.GO in heard:
            self._reach(Phase.GO)
            if self._returning:
                self._give_back()

    def _send(self, data: bytes) -> None:
        if self.note.phase in LAST:
            return
        self._bytes += len(data)
        if self._rate:
            now = time.monotonic()
            self._free_at = max(self._free_at, now - 0.1) + len(data) / float(self._rate)
        if self._link is not None:
            self._link.send(Kind.DATA, data)
        try:
            if self._file >= 0:
                self._write(data)
            self._follow(data)
        except OSError as error:
            self._fail(f"{self._order['address']['file']}: {error.strerror}")

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        self._unsynced_bytes += len(data)
        if self._unsynced_bytes >= _SYNC_BYTES:
            os.fdatasync(self._file)
            self._unsynced_bytes = 0

    def _follow(self, data: bytes) -> None:
        if self._progress is None:
            return
        try:
            self._progress.feed(data)
        except StreamError as error:
            self._progress = None
            if self._file >= 0:
                self._fail(f"nobody can tell where this stream ends: {error}")
            else:
                self._say(f"no progress can be told: {error}")
            return
        self._pages = self._progress.pages
        if self._progress.complete:
            if self._file >= 0:
                os.fsync(self._file)
            self._reach(Phase.READY if self._file >= 0 else Phase.SENT)

    def _xl_gone(self) -> None:
        """Let go of an xl that ended: before the stream's end that is the end of the move."""
        if self._xl_ended:
            return
        self._xl_ended = True
        self._loop.want(0, READ, None)
        self._xl.drop()
        if self.note.phase in (Phase.BEGUN, Phase.STREAMING):
            self._fail("xl ended before its stream did")
        elif self.note.phase not in LAST:
            self._say("xl ended")

    # -- from the link

    def _hear(self, kind: Kind, _body: bytes) -> None:
        if kind is Kind.WELCOME:
            self._welcomed()
        elif kind is Kind.READY and self.note.phase in (Phase.STREAMING, Phase.SENT):
            self._reach(Phase.READY)
        elif kind is Kind.HELD and self._asked:
            self._tell()

    def _link_lost(self, why: str) -> None:
        self._link = None
        if self.note.phase in (Phase.BEGUN, Phase.STREAMING, Phase.SENT):
            self._fail(f"the link is lost: {why}")
        elif self.note.phase is Phase.READY:
            # Not an EOF for xl: whether the move is off is not decided here.
            self._trouble(f"the link is lost: {why}")

    # -- commands

    def _command(self, verb: str) -> None:
        phase = self.note.phase
        if verb == "complete" and phase is Phase.READY:
            self._complete()
        elif verb == "abort":
            self._abort()
        elif verb == "finish" and phase is Phase.GO:
            self._reach(Phase.STARTED)
            self._xl.push(messages.STARTED)
        elif verb not in ("state", "complete", "finish"):
            raise ValueError(f"no source can {verb}")

    def _complete(self) -> None:
        """Pass *ready* on, once the copy over there is seen alive."""
        if self._file >= 0:
            self._tell()
        elif self._link is not None and not self._asked:
            self._asked = True
            self._link.send(Kind.ASK)
            self._loop.after(_ANSWER_SECONDS, self._unanswered)

    def _unanswered(self) -> None:
        if self.note.phase is Phase.READY:
            self._trouble(f"the destination did not answer in {_ANSWER_SECONDS:g} s")

    def _tell(self) -> None:
        if self.note.phase is not Phase.READY:
            return
        self._asked = False
        if self._xl_ended:
            # Nobody is left that could resume the domain: as good as a *go*.
            self._reach(Phase.GO, problem="")
            return
        self._reach(Phase.TOLD, problem="")
        self._words.told = True
        self._xl.push(messages.READY)

    def _abort(self) -> None:
        if self.note.phase in _BEFORE_TOLD:
            self._fail("aborted")
        elif self.note.phase is Phase.TOLD:
            self._returning = True  # its *go* is on its way
        elif self.note.phase is Phase.GO:
            self._give_back()

    def _give_back(self) -> None:
        self._reach(Phase.GIVEN_BACK)
        self._xl.push(messages.GIVEN_BACK)

    def _fail(self, problem: str) -> None:
        """Give xl EOF on both sides: it sees the domain running, or resumes it."""
        if self.note.phase in LAST:
            return
        self._say(problem)
        self._reach(Phase.FAILED, problem=problem)
        if self._link is not None:
            self._link.close(problem)
            self._link = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._xl.drop()
        self._loop.close(0)
        self._xl_ended = True

    @property
    def _quiet(self) -> bool:
        return self._xl_ended
