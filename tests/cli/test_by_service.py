"""A verb says the same whether this host's service does it or the verb does it by itself."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from in_process import Ran, domwarden

from domwarden.client.connection import Service
from domwarden.config import load_host
from domwarden.contract import Action, Expiry
from domwarden.warden import Warden

#: Real services and some fifty commands.
pytestmark = pytest.mark.live

SECONDS = 60
DOMAIN = "domain: {}\nmemory: 2MiB\nboot: {{program: counter}}\nwatchdog: {{driver: i6300esb}}\n"

#: Verbs in this order, each with its host; {} is a directory of the house.
STORY: Sequence[tuple[str, str]] = (
    ("a", "status"),
    ("a", "start web1.yaml"),
    ("a", "start web2.yaml --json"),
    ("a", "start web1.yaml"),
    ("a", "start bad.yaml"),
    ("a", "start none.yaml"),
    ("a", "status"),
    ("a", "status web1 --json"),
    ("a", "status nobody"),
    ("a", "watch --once"),
    ("a", "watch web1 --once --json"),
    ("a", "plan web1 --to b"),
    ("a", "plan web1 --to b --json"),
    ("a", "plan web1 --to c"),
    ("a", "plan nobody --to b"),
    ("a", "migrate web1 --to b --json"),
    ("a", "migrate web2 --to b --timeline --picture picture.svg"),
    ("a", "migrate web1 --to b"),
    ("a", "plan web1 --to b"),
    ("b", "save web1 saved"),
    ("b", "save web2 saved"),
    ("b", "restore saved --json"),
    ("b", "restore saved"),
    ("b", "restore none"),
    ("b", "evacuate b --dry-run"),
    ("b", "evacuate --all --to c"),
    ("b", "evacuate --all --policy by-name --parallel-per-host 1"),
    ("b", "evacuate b --json"),
    ("a", "recover"),
    ("a", "recover --json"),
    ("a", "reclaim web1 --fenced b --yes"),
    ("a", "reclaim web1 --fenced b --json"),
    ("a", "stop web1 --json"),
    ("a", "stop web2 --graceful 1s"),
    ("a", "stop nobody"),
    ("a", "status"),
)


def make(directory: Path) -> Path:
    """Write two hosts' files, and domains'."""
    directory.mkdir()
    for host, peer in ("ab", "ba"):
        text = f"host: {host}\nstate: {host}\npeers: {{{peer}: {{config: {peer}.yaml}}}}\n"
        (directory / f"{host}.yaml").write_text(text)
    for name in ("web1", "web2"):
        (directory / f"{name}.yaml").write_text(DOMAIN.format(name))
    (directory / "bad.yaml").write_text("domain: bad\nmemroy: 2MiB\n")
    return directory


def serve(directory: Path, host: str, end: ExitStack) -> subprocess.Popen[str]:
    """Start a host's service, and wait until it listens."""
    command = [sys.executable, "-m", "domwarden", "serve", "-H", str(directory / f"{host}.yaml")]
    process = end.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
    end.callback(process.kill)
    assert process.stderr is not None
    assert "answers at" in process.stderr.readline()
    return process


async def expire(directory: Path) -> None:
    """Record what a supervisor records."""
    async with Warden(load_host(directory / "a.yaml")) as warden:
        await warden.record_expiry(Expiry("web1", "i6300esb", Action.RESET, 1.5, "it hung"))


def told(directory: Path) -> list[Ran]:
    """Tell the whole story in a house."""
    ran = []
    for host, words in STORY:
        if words == "watch --once":
            asyncio.run(expire(directory))
        ran.append(domwarden(*words.split(), "-H", f"{host}.yaml", cwd=directory))
    return ran


def stop_all(directory: Path) -> None:
    for host in "ab":
        for name in ("web1", "web2"):
            domwarden("stop", name, "-H", f"{host}.yaml", cwd=directory)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Ran, Ran]]]:
    """The story by itself, and by two services."""
    root = tmp_path_factory.mktemp("both")
    with ExitStack() as end:
        alone, served = make(root / "one"), make(root / "two")
        end.callback(stop_all, alone)
        end.callback(stop_all, served)
        first = told(alone)
        for host in "ab":
            serve(served, host, end)
        yield list(zip(first, told(served), strict=True))


def masked(text: str) -> str:
    """Leave out what differs between two runs: times, ids, directories, and drawn bars."""
    text = re.sub(r"/\S*/(?:one|two)/", "/", text)
    text = re.sub(r"\b[0-9a-f]{12}\b|\b[0-9a-f]{32}\b", "ID", text)
    text = re.sub(r"\d+(?:\.\d+)? (?:ms|s)\b|\d+\.\d+(?:e-\d+)?", "N", text)
    lines = [re.sub(r" +", " ", re.sub(r"\|.*\|", "", line)).strip() for line in text.splitlines()]
    drawn = any("·" in line for line in lines)
    return "\n".join(sorted(lines) if drawn else lines)


@pytest.mark.parametrize("number", range(len(STORY)), ids=[words for _, words in STORY])
def test_a_verb_says_the_same_either_way(both: list[tuple[Ran, Ran]], number: int) -> None:
    """On both outputs, and by its exit code."""
    alone, served = both[number]
    assert served.returncode == alone.returncode, served.stderr + alone.stderr
    assert masked(served.stdout) == masked(alone.stdout)
    assert masked(served.stderr) == masked(alone.stderr)
    assert "Traceback" not in alone.stderr
    if "--json" in STORY[number][1] and alone.returncode == 0:
        assert json.loads(served.stdout) is not None


@pytest.fixture
def house(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """One house whose host a is served."""
    directory = make(tmp_path / "one")
    with ExitStack() as end:
        end.callback(stop_all, directory)
        yield directory, serve(directory, "a", end)


def test_what_asks_the_service_loads_nothing_heavy(
    house: tuple[Path, subprocess.Popen[str]],
) -> None:
    """Neither to look nor to move."""
    directory, _ = house
    assert domwarden("start", "web1.yaml", "-H", "a.yaml", cwd=directory).returncode == 0
    heavy = {"stevedore", "rich", "voluptuous", "aiohttp", "sqlite3", "asyncio", "pluggy",
             "domwarden.contract", "domwarden.config", "domwarden.migration"}  # fmt: skip
    program = (
        "import sys\n"
        "from domwarden.cli.main import domwarden\n"
        "domwarden.main(sys.argv[2:], standalone_mode=False)\n"
        f"print(sorted({heavy!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    for words in ("status --json", "migrate web1 --to b --json"):
        run = subprocess.run(
            [sys.executable, "-c", program, "--", *words.split(), "-H", "a.yaml"],
            capture_output=True, text=True, timeout=SECONDS, check=True, cwd=directory,
        )  # fmt: skip
        assert json.loads(run.stdout)
        assert run.stderr.splitlines()[-1] == "[]"


def test_an_interrupt_stops_the_services_evacuation(
    house: tuple[Path, subprocess.Popen[str]],
) -> None:
    """The move under way arrives; the other domain stays, and says why."""
    directory, _ = house
    for name in ("web1", "web2"):
        slow = DOMAIN.format(name) + "migration: {bandwidth: 512KiB/s, timeout: 10min}\n"
        (directory / f"{name}.yaml").write_text(slow)
        assert domwarden("start", f"{name}.yaml", "-H", "a.yaml", cwd=directory).returncode == 0
    words = ("evacuate", "a", "--parallel-per-host", "1", "--policy", "by-name", "-H", "a.yaml")
    with subprocess.Popen(
        [sys.executable, "-m", "domwarden", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
    ) as run:
        assert run.stderr is not None
        assert run.stderr.readline() == "web1: to b\n"
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=SECONDS)
    assert run.returncode == 1, err
    assert "no more moves begin" in err
    assert "web1: on b after" in err
    assert out.startswith("a: 1 moved, 1 stay")
    assert "stopped before its end" in out.splitlines()[0]


def test_a_move_outlives_the_service_that_its_command_asked(
    house: tuple[Path, subprocess.Popen[str]],
) -> None:
    """The command finds the next service and hears from it how the move ended."""
    directory, service = house
    slow = DOMAIN.format("web1") + "migration: {bandwidth: 512KiB/s, timeout: 10min}\n"
    (directory / "web1.yaml").write_text(slow)
    assert domwarden("start", "web1.yaml", "-H", "a.yaml", cwd=directory).returncode == 0
    with ExitStack() as end:
        events = Service(directory / "a" / "domwarden.sock").events("/v1/events")
        assert next(events)[1] == "open"
        run = end.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "domwarden", "migrate", "web1", "--to", "b", "-H", "a.yaml"],
                stderr=subprocess.PIPE,
                text=True,
                cwd=directory,
            )
        )
        steps = (data["step"] for _, kind, data in events if kind == "moment")
        assert "precopy" in steps
        events.close()
        service.kill()
        service.wait(SECONDS)
        serve(directory, "a", end)
        _, err = run.communicate(timeout=SECONDS)
    assert run.returncode == 0, err
    assert err.splitlines()[-1].startswith("web1: on b")
