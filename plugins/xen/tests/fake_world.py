"""What a fake Xen host holds: one JSON file under one lock, with a clock that tests move."""

from __future__ import annotations

import contextlib
import fcntl
import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

POWEROFF, REBOOT, SUSPEND, CRASH, WATCHDOG = 0, 1, 2, 3, 4
Domain = dict[str, Any]
World = dict[str, Any]

DOM0 = {
    "name": "Domain-0",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "pauses": 0,
    "code": None,
    "dying": False,
    "memory": 384,
    "vcpus": 1,
    "config": {},
    "guest": {},
}
INFO = {
    "xen_version": "4.17.7",
    "hw_caps": "078bf3fd:80002001:20100800:00000005:00000000:00000000:00000000:00000000",
    "virt_caps": "pv hvm hap gnttab-v1 gnttab-v2",
}


def install(directory: Path, **info: str) -> Path:
    """Make a fake host under a directory; returns the path of its xl."""
    make(directory / "host", **info)
    program = directory / "xl"
    program.write_text(
        f"#!{sys.executable} -IS\n"
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"import fake_xl; fake_xl.main({str(directory / 'host')!r})\n"
    )
    reader = directory / "xenstore-read"
    reader.write_text(
        f"#!{sys.executable} -IS\n"
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"import fake_xl; fake_xl.xenstore_read({str(directory / 'host')!r})\n"
    )
    for made in (program, reader):
        made.chmod(made.stat().st_mode | stat.S_IXUSR)
    return program


def make(directory: Path, **info: str) -> None:
    """Make an empty host; its clock stands at zero until a test moves it."""
    directory.mkdir(parents=True)
    (directory / "log").mkdir()
    world = {
        "clock": 0.0,
        "next": 1,
        "domains": {"0": DOM0},
        "info": {**INFO, **info},
        "dmesg": "",
        "calls": [],
        "lies": {},
    }
    (directory / "state.json").write_text(json.dumps(world))


@contextlib.contextmanager
def world(directory: Path) -> Iterator[World]:
    """Enter the host's state alone; what its guests and timers do by then has happened."""
    with (directory / "state.json").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        state: World = json.load(file)
        _tick(state)
        yield state
        text = json.dumps(state)
        file.seek(0)
        file.write(text)
        file.truncate()


def running(domain: Domain) -> bool:
    """Whether its processors run."""
    return not domain["pauses"] and domain["code"] is None and not domain["dying"]


def new_guest(state: World) -> Domain:
    """Return a guest that has just booted: it counts the seconds it ran, and may kick."""
    return {"ran": 0.0, "seen": state["clock"], "hung": False, "timeout": None, "kicked": 0.0}


def _tick(state: World) -> None:
    now = state["clock"]
    for domid, domain in state["domains"].items():
        guest = domain["guest"]
        if not guest:
            continue
        runs = running(domain)
        if runs:
            guest["ran"] += now - guest["seen"]
            if not guest["hung"] and guest["timeout"]:
                guest["kicked"] = now
        guest["seen"] = now
        # Xen's timer runs on while its domain is paused, and not while it is shut down.
        expired = guest["timeout"] and now - guest["kicked"] >= guest["timeout"]
        if expired and domain["code"] is None:
            domain["code"] = WATCHDOG
            state["dmesg"] += f"(XEN) Watchdog timer fired for domain {domid}\n"


def forward(directory: Path, seconds: float) -> None:
    """Let time pass in small steps, as monitors see it."""
    with world(directory) as state:
        state["clock"] += seconds


def find(state: World, name: str) -> tuple[str, Domain] | None:
    """Return the domain of that name or number."""
    for domid, domain in state["domains"].items():
        if name in (domid, domain["name"]):
            return domid, domain
    return None


def guest_of(directory: Path, name: str) -> Domain:
    """Return what the guest of a domain is like now."""
    with world(directory) as state:
        found = find(state, name)
        assert found is not None, f"no domain {name}"
        return dict(found[1]["guest"])


def change(directory: Path, name: str, **what: Any) -> None:
    """Change the guest of a domain, as the guest itself would."""
    with world(directory) as state:
        found = find(state, name)
        assert found is not None, f"no domain {name}"
        if "timeout" in what:
            found[1]["guest"]["kicked"] = state["clock"]
        found[1]["guest"] |= what


def shut_down(directory: Path, name: str, code: int) -> None:
    """Shut a domain down with a code, as its guest's hypercall or Xen does."""
    with world(directory) as state:
        found = find(state, name)
        assert found is not None, f"no domain {name}"
        found[1]["code"] = code
