"""The shim of the destination: it plays the sender for ``xl migrate-receive``."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from typing import Any

from . import messages, processes
from .door import Door
from .frames import Kind
from .link import Link
from .loop import CHUNK_BYTES, READ, Outlet, widen
from .messages import Heard, MessageError, ReceiverWords
from .note import LAST, Phase
from .secure import Terms, why
from .shim import Shim
from .stream import Progress, Rewriter, StreamError

_BEFORE_READY = frozenset({Phase.BEGUN, Phase.LISTENING, Phase.STREAMING})


class TargetShim(Shim):
    """Runs ``xl migrate-receive -p`` and keeps its copy held until it is told.

    When it fails, xl gets EOF on its input while its output stays open: it then destroys its copy
    (it would not, if it could not say so).
    """

    def __init__(self, order: Mapping[str, Any]) -> None:
        super().__init__(order)
        self._words = ReceiverWords()
        self._rewriter = Rewriter(str(order["configuration"]))
        self._link: Link | None = None
        self._door: Door | None = None
        self._file = -1
        self._progress = Progress()
        self._xl_ended = False
        environment = {**os.environ, **order.get("environment", {})}
        self._process = subprocess.Popen(
            [*order["command"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # Duplicates: the loop closes what it was given.
        self._words_from = os.dup(self._process.stdout.fileno())
        to_xl = os.dup(self._process.stdin.fileno())
        widen(to_xl)
        self._process.stdout.close()
        self._process.stdin.close()
        self._xl = Outlet(self._loop, to_xl, lambda _error: None, self._read_on)

    def _begin(self) -> None:
        os.set_blocking(self._words_from, False)
        self._loop.want(self._words_from, READ, self._read)
        self._reach(Phase.BEGUN, xl=processes.identity(self._process.pid))
        source = self._order.get("source")
        try:
            if source is not None:
                self._file = os.open(source["file"], os.O_RDONLY | os.O_CLOEXEC)
            else:
                self._door = self._make_door()
        except OSError as error:
            where = source["file"] if source is not None else self._order["host"]
            self._fail(f"{where}: {why(error)}")
            return
        self._loop.after(float(self._order["timeout_seconds"]), self._late)

    def _late(self) -> None:
        if self.note.phase in (Phase.BEGUN, Phase.LISTENING):
            self._fail("nobody came")

    # -- from the link, or the file

    def _heard_banner(self) -> None:
        self._reach(Phase.LISTENING, port=self._door.port if self._door is not None else 0)
        if self._door is not None:
            self._door.open()
        else:
            self._reach(Phase.STREAMING)
            self._read_on()

    def _make_door(self) -> Door:
        order = self._order
        terms = Terms.of(order.get("tls"), server=True)
        return Door(
            self._loop,
            order["host"],
            order.get("ports", [0]),
            move=self.note.migration,
            token=str(order["token"]),
            link=lambda sock: Link(
                self._loop, sock, silence_seconds=self._silence_seconds, tls=terms
            ),
            come=self._welcome,
            say=self._say,
        )

    def _hear(self, kind: Kind, body: bytes) -> None:
        assert self._link is not None
        if kind is Kind.DATA and self.note.phase is Phase.STREAMING:
            self._pass_on(body)
        elif kind is Kind.ASK and self.note.phase is Phase.READY and not self._xl_ended:
            self._link.send(Kind.HELD)

    def _welcome(self, link: Link) -> None:
        self._link = link
        link.tell(self._hear, self._link_lost)
        link.keep()
        self._reach(Phase.STREAMING)
        link.send(Kind.WELCOME)

    def _pass_on(self, data: bytes) -> None:
        self._bytes += len(data)
        try:
            self._xl.push(self._rewriter.feed(data))
        except StreamError as error:
            self._fail(str(error))
            return
        if self._xl.full and self._link is not None:
            self._link.read(False)

    def _read_on(self) -> None:
        """Go on once xl has taken what it had."""
        if self._link is not None:
            self._link.read(True)
        while self._file >= 0 and not self._xl.full and self.note.phase is Phase.STREAMING:
            data = os.read(self._file, CHUNK_BYTES)
            if not data:
                # Not an EOF for xl, which waits for *go* behind the stream.
                self._fail("the save is cut off")
                return
            # First, because an outlet that has room again calls us while it takes this piece.
            self._follow(data)
            self._pass_on(data)

    def _follow(self, data: bytes) -> None:
        """See where a save ends: nobody else could say that it ended too early."""
        try:
            self._progress.feed(data)
        except StreamError as error:
            self._fail(str(error))
            return
        if self._progress.complete and self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _link_lost(self, why: str) -> None:
        self._link = None
        if self.note.phase is Phase.STREAMING:
            self._fail(f"the link is lost: {why}")
        elif self.note.phase not in LAST and self.note.phase not in _BEFORE_READY:
            # A whole copy is held until its owner is known: that is not decided here.
            self._say(f"the link is lost: {why}")

    # -- from xl

    def _read(self) -> None:
        try:
            data = os.read(self._words_from, CHUNK_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._xl_gone()
            return
        try:
            heard = self._words.feed(data)
        except MessageError as error:
            self._fail(str(error))
            return
        for word in heard:
            self._heard(word)

    def _heard(self, word: Heard) -> None:
        if word is Heard.BANNER:
            self._heard_banner()
        elif word is Heard.READY and self.note.phase is Phase.STREAMING:
            self._reach(Phase.READY)
            if self._link is not None:
                self._link.send(Kind.READY)
        elif word is Heard.STARTED and self.note.phase is Phase.GO:
            self._reach(Phase.STARTED)
        elif word is Heard.REFUSED and self.note.phase is Phase.GO:
            # Not over yet: it destroys the copy first, and then says so.
            self._say(self._refusal)
        elif word is Heard.GIVEN_BACK and self.note.phase is Phase.GO:
            self._reach(Phase.GIVEN_BACK, problem=self._refusal)

    def _xl_gone(self) -> None:
        self._xl_ended = True
        self._loop.close(self._words_from)
        self._xl.drop()
        try:
            status = self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            status = 0
        if self.note.phase in _BEFORE_READY:
            self._fail(f"xl ended ({status}) before it had the whole domain")
        elif self.note.phase is Phase.GO:
            self._trouble(f"xl ended ({status}) without a report")
        elif self.note.phase is Phase.READY:
            self._say(f"xl ended ({status}); its copy stays held")

    @property
    def _refusal(self) -> str:
        return f"xl did not take the copy over (status {self._words.status})"

    # -- commands

    def _command(self, verb: str) -> None:
        if verb == "go" and self.note.phase is Phase.READY and not self._xl_ended:
            self._reach(Phase.GO)
            self._xl.push(messages.GO)
        elif verb == "discard" and self.note.phase in {*_BEFORE_READY, Phase.READY}:
            self._fail("discarded")
        elif verb not in ("state", "go", "discard"):
            raise ValueError(f"no destination can {verb}")

    def _fail(self, problem: str) -> None:
        if self.note.phase in LAST:
            return
        self._say(problem)
        self._reach(Phase.FAILED, problem=problem)
        self._close_door()
        if self._link is not None:
            self._link.close(problem)
            self._link = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._xl.drop()  # its output stays open, so that it can clean up

    def _close_door(self) -> None:
        if self._door is not None:
            self._door.close()
            self._door = None

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "xl_ended": self._xl_ended}

    @property
    def _quiet(self) -> bool:
        return self._xl_ended
