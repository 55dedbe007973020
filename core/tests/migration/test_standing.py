"""A guest that stands still does not wait for a destination that says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from domwarden.contract import OutcomeUnknownError
from domwarden.migration import Link, Message, MoveFailedError, Outcome, settling

from .helpers import move, running_domain
from .world import World


class Freezing(Link):
    """A destination that falls silent at a step, and answers again once the guest is back."""

    def __init__(self, link: Link, world: World, step: str) -> None:
        self._link = link
        self._world = world
        self._step = step
        self.silent = False
        self.answered: list[str] = []

    async def send(self, message: Message) -> Mapping[str, Any]:
        if message.step == self._step:
            self.silent = True
            raise OutcomeUnknownError("b did not answer")
        if self.silent and self._world.running() != ["a"]:
            await asyncio.Event().wait()
        if self.silent:
            self.answered.append(message.step)
        return await self._link.send(message)


@pytest.mark.parametrize("step", ["start", "sync"])
async def test_the_source_is_back_before_its_silent_destination_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """It hears then that the move is off, and nothing of it is left there."""
    monkeypatch.setattr(settling, "STANDING_SECONDS", 0.05)
    world = World(tmp_path)
    await running_domain(world)
    made: list[Freezing] = []

    def freezing(_peer: str, link: Link) -> Link:
        made.append(Freezing(link, world, step))
        return made[-1]

    world.wrap_link = freezing
    with pytest.raises(MoveFailedError) as failed:
        await move(world)
    assert failed.value.settled.outcome is Outcome.RESUMED
    assert world.states() == {"a": "running", "b": "absent"}
    answered = [each for link in made for each in link.answered]
    assert answered[0] == "look"
    assert {"give-up", "discard", "close"} <= set(answered)
