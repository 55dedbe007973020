"""What the tests of moves share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from domwarden.contract import OutcomeUnknownError
from domwarden.journal import DomainRecord
from domwarden.migration import Link, Message, Moved, Settled, migrate
from domwarden.plan import Desired

from .world import MEMORY, World

__all__ = ["MEMORY", "FaultyLink", "Overheard", "faulty", "move", "recover", "running_domain"]


async def running_domain(world: World, *, paused: bool = False) -> None:
    """Start a domain on host a as an earlier run did."""
    async with world.hub("a") as hub:
        definition = await world.boot(paused=paused)
        desired = Desired.PAUSED if paused else Desired.RUNNING
        await hub.site.journal.write(DomainRecord("web1", 1, desired, definition))
    world.points.clear()
    world.said.clear()


async def move(world: World, source: str = "a", to: str = "b", **more: Any) -> Moved:
    """Migrate the domain as the command line does."""
    async with world.hub(source, **more) as hub, hub.acting("web1"):
        return await migrate(hub, "web1", to)


async def recover(world: World, hosts: str) -> list[Settled]:
    """Run `recover` on the hosts, one after another."""
    settled = []
    for host in hosts:
        async with world.hub(host) as hub:
            settled += await hub.settle()
    return settled


class FaultyLink(Link):
    """Loses requests or answers, repeats and refuses messages, by the message's step."""

    def __init__(self, link: Link, faults: dict[str, list[str]]) -> None:
        self.link = link
        self.faults = faults

    async def send(self, message: Message) -> Mapping[str, Any]:
        faults = self.faults.get(message.step) or self.faults.get("*") or []
        fault = faults.pop(0) if faults else ""
        if fault in {"lost request", "dead"}:
            if fault == "dead":
                faults.append("dead")
            raise OutcomeUnknownError("the peer does not answer")
        answer = await self.link.send(message)
        if fault == "repeated":
            answer = await self.link.send(message)
        if fault == "lost answer":
            raise OutcomeUnknownError("the peer does not answer")
        return answer


class Overheard(Link):
    """Writes every message down; ``before`` is called once, before a message of that step."""

    link: Link

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.before: dict[str, Callable[[], Awaitable[None]]] = {}

    def __call__(self, _peer: str, link: Link) -> Link:
        self.link = link
        return self

    async def send(self, message: Message) -> Mapping[str, Any]:
        if message.step in self.before:
            await self.before.pop(message.step)()
        self.messages.append(message)
        return await self.link.send(message)


def faulty(faults: dict[str, list[str]]) -> Callable[[str, Link], Link]:
    """Return what wraps a world's links with these faults, used up one by one."""
    return lambda _peer, link: FaultyLink(link, faults)


class _Meanwhile(Link):
    def __init__(self, link: Link, todo: list[Callable[[], Awaitable[None]]]) -> None:
        self.link = link
        self.todo = todo

    async def send(self, message: Message) -> Mapping[str, Any]:
        answer = await self.link.send(message)
        while self.todo:
            await self.todo.pop()()
        return answer


def meanwhile(act: Callable[[], Awaitable[None]]) -> Callable[[str, Link], Link]:
    """Return what lets something happen while the first answer of a world's links is on its way."""
    todo = [act]
    return lambda _peer, link: _Meanwhile(link, todo)
