"""``status``, ``watch`` and ``plan`` tell of what an earlier run left, in words and as JSON."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sys
from pathlib import Path

import pytest

from domwarden.cli import main
from domwarden.config import load_host
from domwarden.contract import End, Movement
from domwarden.journal import Journal, MigrationRecord
from domwarden.migration import Hub, Ports

from .test_main import DOMAIN


def run(*words: str) -> tuple[int, str, str]:
    """Run a verb on host a in this process, which saves half a second each."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["domwarden", *words, "-H", "a.yaml"])
        redirected = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
        with redirected[0], redirected[1], pytest.raises(SystemExit) as ended:
            main()
    return int(str(ended.value.code or 0)), out.getvalue(), err.getvalue()


async def leave_a_move(directory: Path) -> None:
    """Write down a move of web1 to b, as a process does that is killed right afterwards."""
    async with Journal(directory / "state-a") as journal:
        known = await journal.domain("web1")
        assert known is not None
        assert known.definition is not None
        record = MigrationRecord(
            "m1", "web1", End.SOURCE, Movement.MIGRATE, "b", known.epoch, True, known.definition
        )
        await journal.write(record)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two hosts, and a domain that runs on a."""
    for host, peer in ("ab", "ba"):
        text = f"host: {host}\nstate: state-{host}\npeers: {{{peer}: {{config: {peer}.yaml}}}}\n"
        (tmp_path / f"{host}.yaml").write_text(text)
    (tmp_path / "web1.yaml").write_text(DOMAIN.format(name="web1"))
    monkeypatch.chdir(tmp_path)
    code, _, err = run("start", "web1.yaml")
    assert code == 0, err
    yield tmp_path
    run("stop", "web1")


def test_what_was_left_is_told_then_settled_then_gone(directory: Path) -> None:
    asyncio.run(leave_a_move(directory))
    first = "migrate m1 to b: abort (the move was interrupted before the domain was released)"
    for _ in range(2):  # a plan changes nothing
        code, out, err = run("plan", "web1", "--to", "b")
        assert (code, out.splitlines()[0]) == (0, f"first: {first}"), err
        _, out, _ = run("plan", "web1", "--to", "b", "--json")
        (one,) = json.loads(out)["unfinished"]
        assert (one["migration"], one["action"], one["end"]) == ("m1", "abort", "source")
    hub = Hub(load_host(directory / "a.yaml"), Ports())
    busy = "unfinished migration m1: waiting: another process acts on domain web1"
    with hub.lock("web1"):
        code, out, _ = run("status")
        assert (code, busy in out) == (0, True)
        code, out, err = run("watch", "--once")
        assert (code, out, err.strip()) == (0, "", f"web1: {busy}")
        _, out, _ = run("status", "--json")
        (status,) = json.loads(out)
        assert (status["migration"], status["settled"][0]["outcome"]) == ("m1", "waiting")
        code, _, err = run("plan", "web1", "--to", "b")
        assert code == 1
        assert "another process acts on domain web1" in err
    code, out, err = run("status")
    assert (code, err) == (0, "web1: settled what an earlier run left: resumed\n")
    assert "running" in out
    assert "unfinished" not in out
    assert run("status")[2] == ""


def test_watch_settles_what_was_left(directory: Path) -> None:
    asyncio.run(leave_a_move(directory))
    told = "web1: settled what an earlier run left: resumed\n"
    assert run("watch", "web1", "--once") == (0, "", told)
    assert run("recover")[2] == "nothing is unfinished\n"
