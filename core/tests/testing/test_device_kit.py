"""The device kit lets an honest driver pass, and finds each way of breaking a promise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import voluptuous as vol

from domwarden.contract import (
    Action,
    Job,
    QemuArgument,
    Refusal,
    Step,
    TimerClock,
    duration,
    hookimpl,
)
from domwarden.plugins import Kind
from domwarden.testing.devices import check_device
from domwarden.testing.engines import BrokenPromiseError


class Honest:
    contract = 1
    SCHEMA = {vol.Required("name"): str, vol.Optional("wait", default="1s"): duration}
    HOST_SCHEMA = {vol.Optional("place"): str}

    def __init__(self, device, options):
        self.options = options

    @hookimpl
    def attach(self, domain, machine):
        return True

    @hookimpl
    def migrate(self, domain, step):
        if step is Step.TEST and domain.host.settings("honest").get("place") == "nowhere":
            return Refusal("no-place", "nowhere is no place", "move it")
        return Job("work", self.work, self.options["wait"])

    @hookimpl
    def recover(self, domain, step):
        return Job("undo", self.work)

    @hookimpl
    def describe(self, domain):
        return {"name": self.options["name"]}

    async def work(self, context):
        return {"done": True}


def check(cls, **more):
    check_device(cls, {"name": "x"}, refused=[{}, {"name": 3}], **more)


def test_honest_driver_passes() -> None:
    """A driver that keeps its promises is not complained about, with host settings or without."""
    check(Honest)
    check(Honest, host_settings={"place": "nowhere"})


def test_watchdog_is_checked_as_one() -> None:
    """A watchdog needs its clock, and takes part in expiries."""

    class Guard(Honest):
        CLOCK = TimerClock.GUEST
        ACTIONS = frozenset({Action.RESET})

        @hookimpl
        def watchdog_fired(self, domain, expiry):
            return Job("tell", self.work)

    check(Guard, kind=Kind.WATCHDOG)
    with pytest.raises(BrokenPromiseError, match="states no CLOCK"):
        check(Honest, kind=Kind.WATCHDOG)


class NoContract(Honest):
    contract = 2


class NoAttach:
    contract = 1
    SCHEMA = Honest.SCHEMA


class TakesAll(Honest):
    SCHEMA = {vol.Required("name"): vol.Any(str, int)}


class Unplain(Honest):
    SCHEMA = {vol.Required("name"): vol.All(str, lambda text: {text})}


class OpensFiles(Honest):
    @hookimpl
    def open(self, domain):
        with Path("/dev/null").open():
            return


class OpensFilesWhenMade(Honest):
    def __init__(self, device, options):
        super().__init__(device, options)
        Path("/dev/null").read_bytes()


class ListsFiles(Honest):
    @hookimpl
    def close(self, domain):
        os.listdir("/dev")


class ChangesOptions(Honest):
    def __init__(self, device, options):
        options["seen"] = True
        self.options = options


class Remembers(Honest):
    asked = 0

    @hookimpl
    def finish(self, domain):
        self.asked += 1
        return Job(f"work {self.asked}", self.work)


class FailsEarly(Honest):
    @hookimpl
    def recover(self, domain, step):
        return Job(f"undo {domain.given['name']}", self.work)


class Endless(Honest):
    @hookimpl
    def finish(self, domain):
        return Job("work", self.work, timeout_seconds=float("inf"))


class WordlessRefusal(Honest):
    @hookimpl
    def receive(self, domain, step):
        return Refusal("no", "because", "") if step is Step.TEST else None


class OddArguments(Honest):
    @hookimpl
    def qemu_args(self, domain):
        return [QemuArgument("device", {"id": Path("/x")})]


class OddFacts(Honest):
    @hookimpl
    def describe(self, domain):
        return {"where": ("a", "tuple")}


@pytest.mark.parametrize(
    ("cls", "promise"),
    [
        (NoContract, "speaks contract 2"),
        (NoAttach, "implements attach"),
        (TakesAll, "refuses {'name': 3}"),
        (Unplain, "plain JSON"),
        (OpensFiles, r"open\(.*\) decides without I/O, but it did: open /dev/null"),
        (OpensFilesWhenMade, "making a OpensFilesWhenMade does no I/O"),
        (ListsFiles, r"did: os.listdir /dev"),
        (ChangesOptions, "leaves its options alone"),
        (Remembers, "fresh object answers like"),
        (FailsEarly, "recover"),
        (Endless, "bounded in time"),
        (WordlessRefusal, "a code, a reason and a remedy"),
        (OddArguments, "holds plain JSON"),
        (OddFacts, "returns plain JSON"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_broken_promise_is_found(cls, promise) -> None:
    """Each broken driver fails, with the promise that it broke."""
    with pytest.raises(BrokenPromiseError, match=promise):
        check(cls)


def test_kit_needs_no_pytest() -> None:
    """The kits work under any test runner: importing them loads no pytest."""
    modules = "devices, world, ways, journey, engines, embedded, machine, require"
    code = f"import sys; from domwarden.testing import {modules}; sys.exit('pytest' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_plugin_costs_nothing_until_it_is_used() -> None:
    """Everybody's pytest loads the plugin, so it imports no other module of domwarden."""
    code = (
        "import sys, domwarden.testing.plugin\n"
        "ours = {name for name in sys.modules if name.startswith('domwarden')}\n"
        "sys.exit(str(ours) if len(ours) > 3 else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
