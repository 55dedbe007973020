"""How the command line follows a peer's evacuation when its link does not hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from domwarden.cli import emptying
from domwarden.cli.emptying import PeerEvacuation
from domwarden.contract import OutcomeUnknownError, PermanentError, TransientError
from domwarden.migration.link import Link, Message

RUNNING = {"state": "running"}
ENDED = {"state": "succeeded", "result": {}, "problem": None}
SILENT = OutcomeUnknownError("b did not answer evacuate: the connection ended")
GONE = TransientError("b cannot be reached: refused")


class Script(Link):
    """A peer that answers as it is told to, and remembers what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked: list[Mapping[str, Any]] = []

    async def send(self, message: Message) -> Mapping[str, Any]:
        assert (message.migration, message.step) == ("", "evacuate")
        self.asked.append(message.body)
        answer = self._answers.pop(0)
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        found: Mapping[str, Any] = answer
        return found

    @property
    def did(self) -> list[tuple[str, int]]:
        return [(body["do"], body["after"]) for body in self.asked]


def answer(operation: Mapping[str, Any], *numbers: int) -> Mapping[str, Any]:
    events = [{"number": n, "kind": "trip", "data": {"n": n}} for n in numbers]
    return {"operation": operation, "events": events}


def following(link: Link, heard: list[int] | None = None, **more: Any) -> PeerEvacuation:
    numbers = heard if heard is not None else []

    def hear(_kind: str, data: Mapping[str, Any]) -> None:
        numbers.append(data["n"])

    return PeerEvacuation(link, "b", {"policy": "by-name"}, hear, look_seconds=0.0, **more)


async def test_every_event_is_heard_once_and_the_rest_after_its_end() -> None:
    """What did not fit into one answer is asked for before the end counts."""
    link = Script(
        answer(RUNNING), answer(RUNNING, 1, 2), answer(ENDED, 3), answer(ENDED, 4), answer(ENDED)
    )
    heard: list[int] = []
    assert await following(link, heard).run() == ENDED
    assert heard == [1, 2, 3, 4]
    assert link.did == [("begin", 0), ("look", 0), ("look", 2), ("look", 3), ("look", 4)]
    assert link.asked[0]["options"] == {"policy": "by-name"}


async def test_a_lost_begin_is_repeated_under_the_same_name() -> None:
    """Then the peer begins it once at most; a link that broke is opened again."""
    link = Script(SILENT, GONE, answer(RUNNING, 1), SILENT, answer(ENDED))
    heard: list[int] = []
    assert await following(link, heard).run() == ENDED
    assert [do for do, _ in link.did] == ["begin", "begin", "begin", "look", "look"]
    assert len({body["id"] for body in link.asked}) == 1
    assert heard == [1]


async def test_a_peer_that_was_never_reached_is_told_at_once() -> None:
    link = Script(GONE)
    with pytest.raises(TransientError, match="cannot be reached"):
        await following(link).run()


async def test_a_refusal_is_not_repeated() -> None:
    link = Script(PermanentError("a may not have b emptied"))
    with pytest.raises(PermanentError, match="may not"):
        await following(link).run()
    assert len(link.asked) == 1


async def test_a_peer_that_stays_away_goes_on_with_it_without_us() -> None:
    """Who waited is told so, after a minute."""
    now = [0.0]

    def later() -> Exception:
        now[0] += emptying.AWAY_SECONDS / 2
        return GONE

    link = Script(answer(RUNNING), SILENT, *[later] * 4)
    with pytest.raises(OutcomeUnknownError, match="b is away: b cannot be reached") as caught:
        await following(link, clock=lambda: now[0]).run()
    assert "goes on" in caught.value.hint
    assert len(link.asked) == 5


async def test_a_stop_is_said_until_the_end_even_when_it_is_lost() -> None:
    """No move begins that one answer's loss would have let begin."""

    def interrupted() -> Mapping[str, Any]:
        run.stop()
        return answer(RUNNING)

    link = Script(interrupted, SILENT, answer(RUNNING, 1), answer(RUNNING), answer(ENDED))
    run = following(link)
    assert await run.run() == ENDED
    assert [do for do, _ in link.did] == ["begin", "stop", "stop", "stop", "stop"]
