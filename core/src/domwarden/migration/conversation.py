"""The asking half of the protocol, on one stream that is open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from domwarden.contract import DomwardenError, OutcomeUnknownError
from domwarden.migration import wire
from domwarden.migration.link import Message, error_from_json
from domwarden.migration.moments import Moment, Observer

#: How often a peer is asked for a sign of life within the silence that it is allowed.
_PINGS = 5


class Conversation:
    """Messages and their answers on one stream; ended for good when it ends or falls silent."""

    def __init__(
        self,
        peer: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        observer: Observer,
        silence_seconds: float | None = None,
    ) -> None:
        self._peer = peer
        self._reader = reader
        self._writer = writer
        self._observer = observer
        self._silence_seconds = silence_seconds or wire.SILENCE_SECONDS
        self._answers: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._last = 0
        self._heard = 0
        #: Why no more messages can be sent; empty as long as they can.
        self.ended = ""
        self._listening = asyncio.create_task(self._listen(), name=f"{peer}/link/listen")
        self._pinging = asyncio.create_task(self._ping(), name=f"{peer}/link/ping")

    async def ask(self, message: Message) -> Mapping[str, Any]:
        """Send a message and return its answer; raises as :meth:`Link.send` does."""
        self._last += 1
        number = self._last
        line = wire.encode(wire.message_as_json(number, message))
        if self.ended:
            raise self._unknown(message.step)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Mapping[str, Any]] = loop.create_future()
        self._answers[number] = answer
        seconds = wire.seconds_for(message.step)
        try:
            async with asyncio.timeout(seconds):
                self._writer.write(line)
                await self._while_heard(
                    answer, wire.silence_for(message.step, self._silence_seconds)
                )
                with contextlib.suppress(OSError):  # the listener hears of the end too
                    await self._writer.drain()
                return await answer
        except TimeoutError:
            self._tell({"cancel": number})
            raise OutcomeUnknownError(
                f"{self._peer} did not answer {message.step} in {seconds:g} s"
            ) from None
        except asyncio.CancelledError:
            self._tell({"cancel": number})
            raise
        finally:
            del self._answers[number]

    async def _while_heard(
        self, answer: asyncio.Future[Mapping[str, Any]], silence_seconds: float
    ) -> None:
        """Return with the answer, or end it all sooner than for silence elsewhere."""
        if silence_seconds >= self._silence_seconds:
            return
        # Ticks are counted, not the time: in a moment that this process slept nobody was heard.
        heard, silent = self._heard, 0
        while not answer.done():
            if silent == _PINGS:
                self._end(f"it said nothing for {silence_seconds:g} s while the guest stood still")
                return
            self._ping_once()
            await asyncio.wait({answer}, timeout=silence_seconds / _PINGS)
            silent = silent + 1 if heard == self._heard else 0
            heard = self._heard

    def forget(self, migration: str) -> None:
        """Have the peer let go of a move."""
        self._tell({"forget": migration})

    async def aclose(self) -> None:
        """End it; what has no answer yet gets none. The stream stays open for who made it."""
        self._end("it was closed")
        for task in (self._listening, self._pinging):
            task.cancel()
        await asyncio.gather(self._listening, self._pinging, return_exceptions=True)

    def _tell(self, data: Mapping[str, Any]) -> None:
        if not self.ended and not self._writer.is_closing():
            self._writer.write(wire.encode(data))

    async def _ping(self) -> None:
        while True:
            self._ping_once()
            await asyncio.sleep(wire.PING_SECONDS)

    def _ping_once(self) -> None:
        self._tell({"ping": 1, "silence": self._silence_seconds})

    async def _listen(self) -> None:
        try:
            while (said := await wire.read(self._reader, self._silence_seconds)) is not None:
                self._hear(said)
            self._end("the connection ended")
        except TimeoutError:
            self._end(f"it said nothing for {self._silence_seconds:g} s")
        except (OSError, wire.FrameError) as error:
            self._end(str(error))

    def _hear(self, said: Mapping[str, Any]) -> None:
        self._heard += 1
        if "moment" in said:
            # What one version tells, another one may not know; a move does not rest on it.
            with contextlib.suppress(Exception):
                self._observer(Moment.from_json(said["moment"]))
            return
        if "pong" in said:
            return
        number = said.get("id")
        if number is None:
            raise wire.FrameError(f"it did not understand us: {said.get('error')}")
        answer = self._answers.get(number)
        if answer is None or answer.done():
            return  # nobody waits for it any more
        if "error" in said:
            answer.set_exception(_error(said["error"]))
        else:
            answer.set_result(said["answer"])

    def _end(self, why: str) -> None:
        if self.ended:
            return
        self.ended = why
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(self._unknown("us"))

    def _unknown(self, step: str) -> OutcomeUnknownError:
        return OutcomeUnknownError(f"{self._peer} did not answer {step}: {self.ended}")


def _error(data: Any) -> DomwardenError:
    try:
        return error_from_json(data)
    except (KeyError, TypeError, ValueError, AttributeError):
        return OutcomeUnknownError(f"an error came that cannot be read: {data!r}")
