"""``domwarden reclaim`` between two real processes, one of whose hosts is gone for good."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest
from in_process import Ran, domwarden

from domwarden.config import load_host
from domwarden.migration import Hub, Ports

from .test_peer import PEER, House, house

__all__ = ["house"]

pytestmark = pytest.mark.live

#: Runs host b's peer once, which is killed at a point; afterwards nobody reaches that host.
UNTIL = """
import os, sys
mark, point, *words = sys.argv[1:]
os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
os.environ["DOMWARDEN_CRASH_AT"] = point
os.execv(words[0], words)
"""


def lose_b(house: House, point: str) -> None:
    """Move web1 to b, whose power goes at that point."""
    mark = house.directory / "off"
    command = [
        sys.executable,
        "-c",
        UNTIL,
        str(mark),
        point,
        *PEER,
        str(house.directory / "b.yaml"),
    ]
    house.write("a", command)
    moved = house.run("migrate", "web1", "--to", "b", "-H", "a.yaml")
    assert moved.returncode == 1, moved.stdout
    assert "waiting" in moved.stderr
    end_copy(house, "b")


def end_copy(house: House, host: str) -> None:
    """End a host's copy as a power cut does: no journal and no device hears of it."""

    async def end() -> None:
        async with Hub(load_host(house.directory / f"{host}.yaml"), Ports()) as hub:
            await hub.site.engine("embedded").stop("web1")

    asyncio.run(end())


def on_a(house: House, *words: str) -> Ran:
    return domwarden(*words, "-H", "a.yaml", cwd=house.directory)


def test_a_domain_comes_back_from_a_host_that_is_gone_for_good(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Explained, asked, done, and told to the host that comes back all the same."""
    lose_b(house, "link grant before")
    words = ("reclaim", "web1", "--fenced", "b")
    answers = iter("ny")
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _text: next(answers))
    declined = on_a(house, *words)
    assert declined.returncode == 1
    assert "nothing was changed" in declined.stderr
    for line in (
        "a released web1 to b",
        "its copy here: departed",
        "b does not answer, and was named fenced",
        "take epoch 1000001",
        "resume the suspended copy here: let it run",
        "its disks have gone on",
        "make sure that its power is off",
    ):
        assert line in declined.stderr
    assert house.states() == {"a": "departed", "b": "absent"}
    done = on_a(house, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "web1: reclaimed: b was called gone for good\n"
    assert house.states() == {"a": "running", "b": "absent"}
    refused = on_a(house, *words, "--yes")
    assert refused.returncode == 1
    assert "nothing-unfinished" in refused.stderr
    house.write("a", [*PEER, str(house.directory / "b.yaml")])
    back = domwarden("recover", "-H", "b.yaml", cwd=house.directory)
    assert back.returncode == 0, back.stdout + back.stderr
    assert "web1: reclaimed" in back.stdout
    start = domwarden("start", "web1.yaml", "-H", "b.yaml", cwd=house.directory)
    assert start.returncode == 1
    assert "copy-elsewhere" in start.stderr
    assert house.states() == {"a": "running", "b": "absent"}


def test_a_script_reclaims_cold_what_is_left_of_nothing(house: House) -> None:
    """Both copies are gone: with --yes and --json, then from the file."""
    lose_b(house, "link grant before")
    end_copy(house, "a")
    done = on_a(house, "reclaim", "web1", "--fenced", "b", "--cold", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert "destroy the copy here" in done.stderr
    assert json.loads(done.stdout)["settled"]["outcome"] == "stopped"
    started = on_a(house, "start", "web1.yaml", "--fenced", "b")
    assert started.returncode == 0, started.stderr
    assert house.states() == {"a": "running", "b": "absent"}
