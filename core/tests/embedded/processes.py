"""Hypervisor processes of tests, ended with their test."""

import contextlib
import json
import os
import signal

from domwarden.contract import EmbeddedControl, Host
from domwarden.embedded import EmbeddedEngine

from .helpers import ToyRoom, definition


def engine_at(directory, name, idle=1.0):
    return EmbeddedEngine(Host(name, directory / name, {"embedded": {"idle": idle}}))


def plain(**changes):
    return definition(watchdog=None, devices=(), **changes)


def pid_of(engine):
    """The pid that the process noted beside its domain."""
    (note,) = engine.host.state_directory.glob("domains/*/embedded.json")
    return json.loads(note.read_text())["pid"]


async def start(engine, **changes):
    live = await engine.realize(plain(**changes), ToyRoom(plain(), engine.host))
    await engine.start(live, ToyRoom(live, engine.host))
    return live


async def type_line(engine, line):
    return await engine.control("web1", EmbeddedControl).command("", "type", {"line": line})


@contextlib.asynccontextmanager
async def ended(*engines):
    """Kill what is left of the engines' processes."""
    try:
        yield
    finally:
        for engine in engines:
            for note in engine.host.state_directory.glob("domains/*/embedded.json"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(json.loads(note.read_text())["pid"], signal.SIGKILL)
