"""Every route does what the command line's verb does, and answers as it is described."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import jsonschema
import pytest

from domwarden.contract import Action, Expiry
from domwarden.service.answers import answers

from .serving import SLOW, served


def check(name: str, data: object) -> None:
    jsonschema.Draft202012Validator(answers()[name]).validate(data)


async def test_a_domain_lives_from_start_to_stop(tmp_path: Path) -> None:
    async with served(tmp_path) as s:
        started = await s.start()
        check("Domain", started)
        assert (started["state"], started["epoch"]) == ("running", 1)
        assert s.world.states()["a"] == "running"
        (listed,) = (await s.client.get("/v1/domains")).data
        check("Domain", listed)
        one = await s.client.get("/v1/domains/web1")
        assert (one.status, one.data["name"]) == (200, "web1")
        health = (await s.client.get("/v1/health")).data
        check("Health", health)
        assert (health["host"], health["domains"]) == ("a", 1)
        stopped = await s.client.post("/v1/domains/web1/stop", {})
        check("Stopped", stopped.data)
        assert s.world.states()["a"] == "absent"
        again = await s.client.post("/v1/domains", {"path": s.file(), "paused": True})
        assert again.headers["location"] == "/v1/domains/web1"
        assert again.data["desired"] == "paused"


async def test_a_domain_is_planned_moved_saved_and_restored(tmp_path: Path) -> None:
    """Each move is a resource from its request on, whose events end with what became of it."""
    async with served(tmp_path) as s:
        await s.start()
        plan = (await s.client.get("/v1/domains/web1/plan?to=b")).data
        check("Plan", plan)
        assert plan["refusals"] == []
        begun = await s.client.post("/v1/saves", {"domain": "web1", "path": f"{tmp_path}/saved"})
        assert begun.status == 202
        check("Move", begun.data)
        assert begun.headers["location"] == f"/v1/migrations/{begun.data['id']}"
        end = await s.client.end_of(begun.data["id"])
        check("Move", end)
        assert (end["state"], end["outcome"], end["movement"]) == ("succeeded", "saved", "save")
        begun = await s.client.post("/v1/restores", {"path": f"{tmp_path}/saved"})
        assert (await s.client.end_of(begun.data["id"]))["outcome"] == "restored"
        begun = await s.client.post("/v1/migrations", {"domain": "web1", "to": "b"})
        heard = [e async for e in s.client.events(f"{begun.headers['location']}/events")]
        told = [data["what"] for kind, data in heard if kind == "moment"]
        assert {"suspended", "released", "running"} <= set(told)
        kind, end = heard[-1]
        assert (kind, end["outcome"], end["result"]["destination"]) == ("end", "arrived", "b")
        assert s.world.running() == ["b"]
        listed = (await s.client.get("/v1/migrations")).data
        assert [one["movement"] for one in listed] == ["save", "restore", "migrate"]
        text = (await s.client.get("/metrics")).body.decode()
        assert 'domwarden_moves_total{movement="migrate",state="succeeded"} 1.0' in text
        assert 'domwarden_domains{desired="moved"} 1.0' in text
        assert "domwarden_blackout_seconds_count 1.0" in text


async def test_followers_come_back_where_they_were(tmp_path: Path) -> None:
    """Last-Event-ID leaves out what was heard before."""
    async with served(tmp_path) as s:
        await s.start()
        begun = await s.client.post("/v1/saves", {"domain": "web1", "path": f"{tmp_path}/saved"})
        path = f"{begun.headers['location']}/events"
        whole = [data async for _, data in s.client.events(path)]
        rest = [data async for _, data in s.client.events(path, last=len(whole) - 3)]
        assert rest == whole[-3:]


async def test_refusals_keep_their_codes(tmp_path: Path) -> None:
    """The same as the command line tells, each with its remedy."""
    async with served(tmp_path) as s:
        await s.start()
        (tmp_path / "saved").mkdir()
        begun = await s.client.post("/v1/saves", {"domain": "web1", "path": f"{tmp_path}/saved"})
        end = await s.client.end_of(begun.data["id"])
        assert (end["state"], end["problem"]["code"]) == ("refused", "refused")
        assert [r["code"] for r in end["problem"]["refusals"]] == ["save-exists"]
        assert end["problem"]["refusals"][0]["remedy"]
        check("Problem", end["problem"])


async def test_the_second_caller_hears_who_is_in_the_way(tmp_path: Path) -> None:
    """One move wins; every other verb on its domain is a conflict that names it."""
    async with served(tmp_path) as s:
        await s.start(more=SLOW)
        asked = [s.client.post("/v1/migrations", {"domain": "web1", "to": "b"}) for _ in range(5)]
        replies = await asyncio.gather(*asked)
        won = [reply for reply in replies if reply.status == 202]
        assert len(won) == 1
        name = won[0].data["id"]
        replies.append(await s.client.post("/v1/domains/web1/stop", {}))
        replies.append(await s.client.post("/v1/domains", {"path": s.file()}))
        for reply in replies:
            if reply.status != 202:
                assert reply.code == "conflict"
                assert f"migrate {name} (begun by process" in reply.data["holder"]
        cancelled = await s.client.ask("DELETE", f"/v1/migrations/{name}")
        assert cancelled.status == 202
        end = await s.client.end_of(name)
        assert (end["state"], end["outcome"]) == ("failed", "resumed")
        assert "cancelled" in end["problem"]["detail"]
        assert s.world.running() == ["a"]
        over = await s.client.ask("DELETE", f"/v1/migrations/{name}")
        assert over.code == "over"


async def test_another_process_that_acts_is_named(tmp_path: Path) -> None:
    """Whoever holds the domain's lock is told by number and command line."""
    async with served(tmp_path) as s:
        await s.start()
        with s.world.hub("a").lock("web1"):
            for path, body in (
                ("/v1/migrations", {"domain": "web1", "to": "b"}),
                ("/v1/domains/web1/stop", {}),
            ):
                reply = await s.client.post(path, body)
                assert reply.code == "conflict"
                assert reply.data["holder"].startswith(f"process {os.getpid()} (")
        assert (await s.client.post("/v1/domains/web1/stop", {})).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("GET", "/v1/domains/web2", None, "unknown-domain"),
        ("GET", "/v1/domains/web2/events", None, "unknown-domain"),
        ("POST", "/v1/domains/web2/stop", {}, "unknown-domain"),
        ("POST", "/v1/migrations", {"domain": "web2", "to": "b"}, "unknown-domain"),
        ("POST", "/v1/migrations", {"domain": "web1", "to": "c"}, "invalid"),
        ("GET", "/v1/migrations/0123456789ab", None, "unknown-migration"),
        ("DELETE", "/v1/migrations/0123456789ab", None, "unknown-migration"),
        ("GET", "/v1/migrations/0123456789ab/events", None, "unknown-migration"),
        ("POST", "/v1/domains", {"path": "/nowhere/web1.yaml"}, "wrong-file"),
        ("POST", "/v1/restores", {"path": "/nowhere"}, "impossible"),
        ("DELETE", "/v1/domains", None, "wrong-method"),
        ("GET", "/v2/domains", None, "no-such-path"),
    ],
)
async def test_what_cannot_be_is_a_problem(
    tmp_path: Path, method: str, path: str, body: object, code: str
) -> None:
    async with served(tmp_path) as s:
        await s.start()
        reply = await s.client.ask(method, path, body)
        assert reply.code == code
        check("Problem", reply.data)


async def test_expiries_are_followed_and_counted(tmp_path: Path) -> None:
    """Those since a number first, then each as it is recorded."""
    async with served(tmp_path) as s:
        await s.start()
        await s.start("web2")
        warden = s.service.warden
        for name in ("web2", "web1", "web1"):
            await warden.record_expiry(Expiry(name, "i6300esb", Action.RESET, 1.0))
        heard = []
        async for kind, data in s.client.events("/v1/domains/web1/events", last=1):
            heard.append((kind, data["domain"]))
            if len(heard) == 2:
                await warden.record_expiry(Expiry("web2", "i6300esb", Action.RESET, 2.0))
                await warden.record_expiry(Expiry("web1", "i6300esb", Action.NMI, 3.0))
            if len(heard) == 3:
                check("Expiry", data)
                assert data["action"] == "nmi"
                break
        assert heard == [("expiry", "web1")] * 3
        history = (await s.client.get("/v1/domains/web1/expiries")).data
        assert [one["at"] for one in history] == [1.0, 1.0, 3.0]
        text = (await s.client.get("/metrics")).body.decode()
        assert 'domwarden_watchdog_expiries_total{action="nmi",domain="web1"} 1.0' in text


async def test_head_is_get_without_its_body(tmp_path: Path) -> None:
    async with served(tmp_path) as s:
        for path in ("/v1/health", "/v1/events"):
            reply = await s.client.ask("HEAD", path)
            assert (reply.status, reply.body) == (200, b"")


async def test_drivers_are_listed(tmp_path: Path) -> None:
    async with served(tmp_path) as s:
        for driver in (await s.client.get("/v1/plugins")).data:
            check("Driver", driver)


async def test_the_end_of_the_service_ends_its_streams(tmp_path: Path) -> None:
    """And leaves the domain as it is."""
    async with served(tmp_path) as s:
        await s.start()
        events = s.client.events("/v1/events")
        following = asyncio.create_task(anext(events, None))
        await asyncio.sleep(0.05)
    assert await following is None
    assert s.world.running() == []  # the test's own hypervisor ended; nothing else did
