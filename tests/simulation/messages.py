"""Messages that are lost, come twice, or come when nobody expects them any more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from domwarden.contract import DomwardenError, OutcomeUnknownError
from domwarden.migration import Link, Message

from .process import PROCESS

if TYPE_CHECKING:
    from .world import World

#: What changes nothing when it comes late.
_ASKING = frozenset({"epoch", "test", "look"})


class Strays:
    """Every message of the simulation: each may stray."""

    def __init__(self, world: World) -> None:
        self._world = world
        #: How likely a message is lost, loses its answer, comes twice, or comes again much later.
        self.lost = self.unanswered = self.repeated = self.late = 0.0
        #: All that may come again: from a host, to a peer.
        self._sent: list[tuple[str, str, Message]] = []

    def calm(self) -> None:
        self.lost = self.unanswered = self.repeated = self.late = 0.0

    def wrap(self, peer: str, link: Link) -> Link:
        return _Straying(self, peer, link)

    async def send(self, peer: str, link: Link, message: Message) -> Mapping[str, Any]:
        world, rng = self._world, self._world.rng
        process = PROCESS.get()
        assert process is not None
        if message.step not in _ASKING:
            self._sent.append((process.host.name, peer, message))
        if rng.random() < self.lost:
            world.say(f"{message.step} to {peer} is lost")
            if message.step not in _ASKING and rng.random() < 0.5:  # or only very slow
                self._again(process.host.name, peer, message)
            await asyncio.sleep(rng.uniform(0.0, 20.0))
            raise OutcomeUnknownError("the message is lost")
        if message.step not in _ASKING and rng.random() < self.late:
            self._again(process.host.name, peer, message)
        if rng.random() < self.repeated:
            world.say(f"{message.step} to {peer} comes twice")
            answers = await asyncio.gather(
                link.send(message), link.send(message), return_exceptions=True
            )
            answer = answers[rng.randrange(2)]
            if isinstance(answer, BaseException):
                raise answer
        else:
            answer = await link.send(message)
        if rng.random() < self.unanswered:
            world.say(f"the answer to {message.step} of {peer} is lost")
            raise OutcomeUnknownError("the answer is lost")
        return answer

    def replay(self) -> None:
        """Have one of the messages so far come again."""
        if self._sent:
            self._again(*self._world.rng.choice(self._sent))

    def _again(self, host: str, peer: str, message: Message) -> None:
        """Have a process that nobody knows of any more send it."""
        if not self._world.hosts[host].up:
            return

        async def stray() -> None:
            await asyncio.sleep(
                self._world.rng.choice([0.05, 1.0, 60.0]) * self._world.rng.random()
            )
            self._world.say(f"{message.step} comes late to {peer}")
            try:
                async with self._world.hub(host) as hub:
                    await _raw(hub, peer, message)
            except DomwardenError as error:
                self._world.say(f"the late {message.step}: {error}")

        self._world.run(host, f"late {message.step}", stray)


async def _raw(hub: Any, peer: str, message: Message) -> None:
    link = await hub.link(peer)
    await link.link.send(message)


class _Straying(Link):
    def __init__(self, strays: Strays, peer: str, link: Link) -> None:
        self._strays = strays
        self._peer = peer
        self.link = link

    async def send(self, message: Message) -> Mapping[str, Any]:
        return await self._strays.send(self._peer, self.link, message)

    def forget(self, migration: str) -> None:
        self.link.forget(migration)

    async def aclose(self) -> None:
        await self.link.aclose()
