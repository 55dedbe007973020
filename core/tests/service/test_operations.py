"""Evacuations, reclaims and recoveries are resources that one follows, and stops where one can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema

from domwarden.service.answers import answers

from .serving import SLOW, Served, served


def check(name: str, data: object) -> None:
    jsonschema.Draft202012Validator(answers()[name]).validate(data)


async def begin(s: Served, what: str, **body: Any) -> tuple[str, list[tuple[str, Any]]]:
    """Begin an operation; returns where it is and all that it told."""
    begun = await s.client.post(f"/v1/{what}", body)
    assert begun.status == 202, begun
    check("Operation", begun.data)
    where = begun.headers["location"]
    assert where == f"/v1/operations/{begun.data['id']}"
    heard = [event async for event in s.client.events(f"{where}/events")]
    check("Operation", heard[-1][1])
    return where, heard


async def test_a_host_is_emptied(tmp_path: Path) -> None:
    """A dry run changes nothing; each move is told and is a move as any other."""
    async with served(tmp_path) as s:
        await s.start("web1")
        await s.start("web2")
        _, heard = await begin(s, "evacuations", dry_run=True, policy="by-name")
        ((_, end),) = heard
        assert [trip["domain"] for trip in end["result"]["trips"]] == ["web1", "web2"]
        assert s.world.states()["a"] == "running"
        where, heard = await begin(s, "evacuations", policy="by-name", parallel_per_host=1)
        told = [(one["domain"], one["moved"] is not None) for kind, one in heard if kind == "trip"]
        assert told == [("web1", False), ("web1", True), ("web2", False), ("web2", True)]
        end = heard[-1][1]
        assert (end["kind"], end["state"], end["result"]["stays"]) == (
            "evacuation",
            "succeeded",
            {},
        )
        callers = {move["caller"] for move in (await s.client.get("/v1/migrations")).data}
        assert callers == {f"the evacuation {end['id']}"}
        rest = [one async for one in s.client.events(f"{where}/events", last=3)]
        assert [kind for kind, _ in rest] == ["trip", "end"]
        listed = (await s.client.get("/v1/operations")).data
        assert [one["state"] for one in listed] == ["succeeded"] * 2
        assert (await s.client.ask("DELETE", where)).code == "over"


async def test_an_evacuation_stops_cleanly_and_is_the_only_one(tmp_path: Path) -> None:
    """The move under way goes on, or is cancelled for itself; nothing begins after it."""
    async with served(tmp_path) as s:
        await s.start("web1", SLOW)
        await s.start("web2", SLOW)
        begun = await s.client.post(
            "/v1/evacuations", {"parallel_per_host": 1, "policy": "by-name"}
        )
        where = begun.headers["location"]
        events = s.client.events(f"{where}/events")
        kind, trip = await anext(events)
        assert (kind, trip["domain"], trip["moved"]) == ("trip", "web1", None)
        second = await s.client.post("/v1/evacuations", {})
        assert (second.status, second.code) == (409, "conflict")
        assert begun.data["id"] in second.data["detail"]
        stopped = await s.client.ask("DELETE", where)
        assert (stopped.status, stopped.data["stopping"]) == (202, True)
        while not (moves := (await s.client.get("/v1/migrations")).data):
            pass  # it begins at any moment
        assert (await s.client.ask("DELETE", f"/v1/migrations/{moves[0]['id']}")).status == 202
        end = [data async for _, data in events][-1]
        assert (end["state"], end["result"]["stopped"]) == ("succeeded", True)
        assert {reason["code"] for reason in end["result"]["stays"]["web2"]} == {"stopped"}
        assert s.world.states()["a"] == "running"


async def test_what_cannot_be_ends_with_a_problem(tmp_path: Path) -> None:
    async with served(tmp_path) as s:
        await s.start()
        _, heard = await begin(s, "evacuations", to=["c"])
        end = heard[-1][1]
        assert (end["state"], end["problem"]["detail"]) == ("failed", "c is no peer of a")
        body = {"fenced": ["b"]}
        found = await s.client.post("/v1/domains/web1/reclaimable", body)
        check("Reclaimable", found.data)
        (refusal,) = found.data["refusals"]
        assert refusal["code"] == "nothing-unfinished"
        _, heard = await begin(s, "reclaims", domain="web1", **body)
        end = heard[-1][1]
        assert (end["kind"], end["domain"], end["state"]) == ("reclaim", "web1", "refused")
        assert end["problem"]["refusals"] == [refusal]
        for method in ("GET", "DELETE"):
            gone = await s.client.ask(method, "/v1/operations/0123456789ab")
            assert gone.code == "unknown-operation"
        assert (await s.client.post("/v1/reclaims", {"domain": "web1", "fenced": []})).code == (
            "invalid"
        )


async def test_what_is_left_is_settled_and_looked_at(tmp_path: Path) -> None:
    async with served(tmp_path) as s:
        await s.start()
        _, heard = await begin(s, "recoveries")
        assert heard[-1][1]["result"] == []
        (status,) = (await s.client.post("/v1/status", {"domain": "web1"})).data
        check("Domain", status)
        assert (status["name"], status["settled"]) == ("web1", [])
        assert (await s.client.post("/v1/status", {"domain": "web2"})).data == []
