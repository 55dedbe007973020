"""The answering half of the protocol: one host's receiver on one stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from domwarden.contract import DomwardenError, PermanentError
from domwarden.migration import wire
from domwarden.migration.hub import Hub
from domwarden.migration.link import Message, error_as_json
from domwarden.migration.moments import Moment

logger = logging.getLogger(__name__)

#: More messages at a time than any host has moves.
MOST_TASKS = 256
#: Moments are dropped while so much waits for a client that does not read.
BACKLOG_BYTES = 1024 * 1024


class Serving:
    """Answers on one stream until it ends or falls silent.

    What is under way then is cancelled, as if this process had died: all that counts is in the
    journal, and whoever is left settles it.
    """

    def __init__(
        self, hub: Hub, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._hub = hub
        self._reader = reader
        self._writer = writer
        self._tasks: dict[int, tuple[str, asyncio.Task[None]]] = {}
        self._letting_go: set[asyncio.Task[None]] = set()
        self._silence_seconds = wire.SILENCE_SECONDS
        #: The moves that this host took part in as their destination.
        self.moves: set[str] = set()

    async def run(self) -> None:
        """Greet, and answer."""
        self._say(wire.greeting(self._hub.name))
        self._hub.observer = self._tell
        try:
            while await self._next():
                pass
        except (TimeoutError, OSError) as error:
            client = self._hub.receiver.client or "the client"
            logger.warning("%s is lost: %s", client, str(error) or "nothing was heard")
        finally:
            await self._end()

    async def _next(self) -> bool:
        try:
            said = await wire.read(self._reader, self._silence_seconds)
            if said is None or "end" in said:
                return False
            self._hear(said)
        except wire.FrameError as error:
            self._refuse(None, PermanentError(f"{self._hub.name}: {error}"))
            return not isinstance(error, wire.TooLongError)
        return True

    def _hear(self, said: Mapping[str, Any]) -> None:
        if "ping" in said:
            self._silence_seconds = wire.silence(said)
            self._say({"pong": 1})
        elif "cancel" in said:
            if said["cancel"] in self._tasks:
                self._tasks[said["cancel"]][1].cancel()
        elif "forget" in said:
            task = asyncio.create_task(self._forget(str(said["forget"])), name="link/forget")
            self._letting_go.add(task)
            task.add_done_callback(self._letting_go.discard)
        else:
            number, message = wire.message_from_json(said)
            if number in self._tasks:
                raise wire.FrameError(f"the message {number} is being answered")
            if len(self._tasks) >= MOST_TASKS:
                self._refuse(number, PermanentError(f"{self._hub.name} answers too many messages"))
                return
            name = f"{message.migration or 'link'}/{message.step}"
            task = asyncio.create_task(self._answer(number, message), name=name)
            self._tasks[number] = (message.migration, task)
            task.add_done_callback(lambda task: self._answered(number, task))

    def _answered(self, number: int, task: asyncio.Task[None]) -> None:
        del self._tasks[number]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("an answer came to nothing: %r", error)
            self._writer.close()  # whoever waits for it must not wait for long

    async def _answer(self, number: int, message: Message) -> None:
        # Who was only looked at has begun nothing that would be left to it.
        if message.migration and message.step not in {"test", "settle", "look"}:
            self.moves.add(message.migration)
        try:
            answer = await self._hub.receiver.answer(message)
            self._say({"id": number, "answer": dict(answer)})
        except DomwardenError as error:
            self._refuse(number, error)
        except Exception as error:  # one message's bug must not end the others'
            logger.exception("%s of %s", message.step, message.migration)
            what = f"{self._hub.name} stumbled over {message.step}: {type(error).__name__}: {error}"
            self._refuse(number, PermanentError(what, hint="see what `domwarden peer` logged"))

    async def _forget(self, migration: str) -> None:
        """Let go of a move once what was cancelled of it has come to rest."""
        tasks = [task for of, task in self._tasks.values() if of == migration]
        await asyncio.gather(*tasks, return_exceptions=True)
        self._hub.receiver.forget(migration)

    def _tell(self, moment: Moment) -> None:
        if self._writer.transport.get_write_buffer_size() < BACKLOG_BYTES:
            self._say({"moment": moment.as_json()})

    def _refuse(self, number: int | None, error: DomwardenError) -> None:
        self._say({"id": number, "error": error_as_json(error)})

    def _say(self, data: Mapping[str, Any]) -> None:
        if not self._writer.is_closing():
            self._writer.write(wire.encode(data))

    async def _end(self) -> None:
        tasks = [task for _, task in self._tasks.values()] + list(self._letting_go)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._hub.receiver.close()
