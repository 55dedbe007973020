"""What a peer asks of a service that may empty its host for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from domwarden.contract import ConflictError, PermanentError
from domwarden.service import emptying
from domwarden.service.emptying import ServiceEmptying

from .serving import SLOW, served

ID = "0123456789ab"


async def ended(door: ServiceEmptying, after: int = 0) -> tuple[Any, list[Any]]:
    """Look until it has ended; returns the operation and all that it told after that number."""
    told: list[Any] = []
    while True:
        answer = await door.asked("b", {"do": "look", "id": ID, "after": after})
        told += answer["events"]
        if not answer["events"] and answer["operation"]["state"] != "running":
            return answer["operation"], told
        after = told[-1]["number"] if told else after
        await asyncio.sleep(0)


async def test_a_repeated_begin_begins_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each trip is told once, in parts that fit into a line, and it ends as over the API."""
    monkeypatch.setattr(emptying, "MOST_EVENTS", 1)
    async with served(tmp_path) as s:
        door = ServiceEmptying(s.service)
        await s.start("web1")
        await s.start("web2")
        begin = {"do": "begin", "id": ID, "options": {"policy": "by-name", "parallel_per_host": 1}}
        first = await door.asked("b", begin)
        assert (first["operation"]["id"], first["events"]) == (ID, [])
        assert (await door.asked("b", begin))["operation"]["id"] == ID
        end, told = await ended(door)
        trips = [(e["data"]["domain"], e["data"]["moved"] is not None) for e in told]
        assert trips == [("web1", False), ("web1", True), ("web2", False), ("web2", True)]
        assert (end["state"], end["result"]["stays"]) == ("succeeded", {})
        assert end["caller"] == "the peer b"
        assert (await door.asked("b", begin))["operation"] == end
        assert len((await s.client.get("/v1/operations")).data) == 1


async def test_it_stops_cleanly_and_receives_nothing_meanwhile(tmp_path: Path) -> None:
    """A stop that is repeated, or comes late, does no harm; a second evacuation is a conflict."""
    async with served(tmp_path) as s:
        door = ServiceEmptying(s.service)
        await s.start("web1", SLOW)
        await s.start("web2", SLOW)
        assert door.refusals() == ()
        options = {"policy": "by-name", "parallel_per_host": 1}
        await door.asked("b", {"do": "begin", "id": ID, "options": options})
        (refusal,) = door.refusals()
        assert (refusal.code, refusal.host) == ("being-emptied", "a")
        assert "the peer b" in refusal.reason
        with pytest.raises(ConflictError, match=ID):
            await door.asked("b", {"do": "begin", "id": "f" * 12})
        assert (await s.client.post("/v1/evacuations", {})).code == "conflict"
        while not (moves := (await s.client.get("/v1/migrations")).data):
            pass  # it begins at any moment
        for _ in range(2):
            stopped = await door.asked("b", {"do": "stop", "id": ID})
            assert stopped["operation"]["stopping"]
        assert (await s.client.ask("DELETE", f"/v1/migrations/{moves[0]['id']}")).status == 202
        end, _ = await ended(door)
        assert end["result"]["stopped"]
        assert {reason["code"] for reason in end["result"]["stays"]["web2"]} == {"stopped"}
        assert (await door.asked("b", {"do": "stop", "id": ID}))["operation"] == end
        assert door.refusals() == ()


async def test_a_dry_run_changes_nothing_and_hinders_nobody(tmp_path: Path) -> None:
    async with served(tmp_path) as s:
        door = ServiceEmptying(s.service)
        await s.start()
        await door.asked("b", {"do": "begin", "id": ID, "options": {"dry_run": True}})
        assert door.refusals() == ()
        end, told = await ended(door)
        assert [trip["host"] for trip in end["result"]["trips"]] == ["b"]
        assert told == []
        assert s.world.states()["a"] == "running"


async def test_a_peer_sees_its_own_evacuations_only(tmp_path: Path) -> None:
    """Another one's, and one of the API, are as unknown to it as one that never was."""
    async with served(tmp_path) as s:
        door = ServiceEmptying(s.service)
        await door.asked("b", {"do": "begin", "id": ID})
        mine = (await s.client.post("/v1/recoveries", {})).data["id"]
        for client, name in (("c", ID), ("b", mine), ("b", "f" * 12)):
            for do in ("look", "stop"):
                with pytest.raises(PermanentError, match=r"not an evacuation|nothing is known"):
                    await door.asked(client, {"do": do, "id": name})
        with pytest.raises(PermanentError, match="not an evacuation of the peer c"):
            await door.asked("c", {"do": "begin", "id": ID})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"do": "fly", "id": ID},
        {"do": "begin"},
        {"do": "begin", "id": 5},
        {"do": "begin", "id": "../../etc"},
        {"do": "begin", "id": ID + "\n"},
        {"do": "begin", "id": ID, "after": -1},
        {"do": "begin", "id": ID, "after": True},
        {"do": "begin", "id": ID, "options": []},
        {"do": "begin", "id": ID, "options": {"policy": "best"}},
        {"do": "begin", "id": ID, "options": {"parallel_per_host": 0}},
        {"do": "begin", "id": ID, "options": {"to": ["/"]}},
        {"do": "begin", "id": ID, "more": 1},
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused_in_words(tmp_path: Path, body: Any) -> None:
    """Nothing is begun."""
    async with served(tmp_path) as s:
        door = ServiceEmptying(s.service)
        with pytest.raises(PermanentError):
            await door.asked("b", body)
        assert (await s.client.get("/v1/operations")).data == []
