"""Domains that were released to a host that is gone, for tests of reclaiming them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from domwarden.contract import (
    OutcomeUnknownError,
    RefusedError,
)
from domwarden.migration import Link, Message
from domwarden.warden import Warden

from ..migration.helpers import move, running_domain
from ..migration.world import Killed, World, cut_short
from .test_warden import warden

FENCED = ("b",)
#: Points after the release at which the source's copy still stands still.
RELEASED = "source journal released after"
GRANTED = "destination journal granted after"
AFTER_RELEASE = (
    RELEASED,
    "link grant before",
    "destination journal granted before",
    GRANTED,
    "destination engine activate before",
    "destination engine activate after",
    "destination journal ran before",
    "destination journal ran after",
)
SEEN = "source journal finish intents after"


class Off(Link):
    """The way to a host that is switched off."""

    async def send(self, message: Message) -> Mapping[str, Any]:
        raise OutcomeUnknownError("no route to host")


def unreachable(world: World, host: str = "b") -> None:
    world.wrap_link = lambda peer, link: Off() if peer == host else link


async def switch_off(world: World) -> None:
    """Take b's power: nothing of its hypervisor is left, and nobody reaches it."""
    await world.engine("b").stop("web1")
    unreachable(world)


def switch_on(world: World) -> None:
    """Bring the host back with its journal."""
    world.wrap_link = lambda _peer, link: link


async def left_at(world: World, point: str, *, paused: bool = False) -> None:
    """Kill a move of web1 from a to b at a point."""

    def die() -> None:
        raise Killed

    await running_domain(world, paused=paused)
    world.on_point = {point: die}
    with cut_short():
        await move(world)
    assert not world.on_point, point
    world.said.clear()


def fenced(world: World, *hosts: str, host: str = "a") -> Warden:
    return warden(world, host, fenced=hosts or FENCED)


async def refused(world: World, *hosts: str, cold: bool = False) -> list[str]:
    """Return the rules that are against a reclaim, after trying it all the same."""
    before = world.states()
    async with fenced(world, *hosts) as here:
        found = await here.reclaimable("web1", cold=cold)
        with pytest.raises(RefusedError):
            await here.reclaim("web1", cold=cold)
    assert world.states() == before
    assert all(refusal.reason and refusal.remedy for refusal in found.refusals)
    return [refusal.code for refusal in found.refusals]


async def killed_at(world: World, kill_at: int | None, *, cold: bool) -> bool:
    """Reclaim, killed at the n-th point; returns whether it came so far."""
    world.points.clear()
    world.kill_at = kill_at
    try:
        with cut_short() as cut:
            async with fenced(world) as here:
                await here.reclaim("web1", cold=cold)
    finally:
        world.kill_at = None
    return cut.killed
