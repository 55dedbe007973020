"""xl configurations are what the golden files say, and read back as what went in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden.contract import Action, DriverError, EngineError, WatchdogEntry
from domwarden_xen import configuration, realize
from domwarden_xen.facts import Facts

from . import fake_config
from .bench import FixedRoom, definition
from .fake_world import INFO

GOLDEN = Path(__file__).parent / "golden"
HERE = Facts.of(INFO)
DISK = {"format": "raw", "vdev": "xvda", "access": "rw", "target": "/images/a web.img"}
CARD = {"mac": "52:54:00:12:34:56", "bridge": "xenbr0"}
DEVICE_MODEL = ["-device", '{"driver":"i6300esb","id":"watchdog"}', "-action", "watchdog=reset"]
HVM = {"device_model_args_hvm": DEVICE_MODEL}
BOOT = {"kernel": "/guest/vmlinux", "initrd": "/guest/initrd.gz", "cmdline": 'a="b c" \\d'}

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "bare": ({}, {"watchdog": None}),
    "pvh": (
        {
            "watchdog": {"on_watchdog": "coredump-restart"},
            "root": {"disk": [DISK]},
            "data": {"disk": [{**DISK, "vdev": "xvdb", "access": "ro"}]},
            "eth0": {"vif": [CARD]},
        },
        {"boot": BOOT, "vcpus": 2},
    ),
    "pv": (
        {"watchdog": {"on_watchdog": "restart"}},
        {"options": {"type": "pv"}},
    ),
    "hvm": (
        {"watchdog": HVM, "root": {"disk": [DISK]}},
        {"options": {"type": "hvm"}, "boot": {}},
    ),
    "stub_domain": (
        {"watchdog": HVM, "root": {"disk": [DISK]}},
        {"options": {"type": "hvm", "stub_domain": True}, "boot": {}},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_configuration_is_the_golden_one(name: str) -> None:
    """Each kind of guest, with its devices."""
    answers, more = CASES[name]
    room = FixedRoom(answers)
    text = realize.rendered(realize.live(definition(**more), room, HERE), room)
    golden = GOLDEN / f"{name}.cfg"
    if os.environ.get("DOMWARDEN_GOLDEN") == "write":
        golden.write_text(text)
    assert text == golden.read_text()


PLAIN = st.text(st.characters(exclude_categories=["Cs", "Cc"]))


@given(PLAIN, st.lists(PLAIN))
def test_any_text_reads_back(text: str, texts: list[str]) -> None:
    """Quotes, backslashes, brackets and line ends of values stay inside of them."""
    made = {"cmdline": text + "\n\t", "device_model_args": texts, "memory": 128}
    assert fake_config.parse(configuration.render(made)) == made


@given(st.text(st.characters(max_codepoint=0x7F)))
def test_what_xl_cannot_read_is_refused(text: str) -> None:
    """Rendered text is one line, and what is rendered reads back."""
    try:
        quoted = configuration.quoted(text)
    except EngineError:
        assert any(ord(c) < 0x20 or ord(c) == 0x7F for c in text)
    else:
        assert quoted.isprintable()
        assert fake_config.parse(f"cmdline = {quoted}") == {"cmdline": text}


@pytest.mark.parametrize(
    "card",
    [
        {"mac": "52:54:00:12:34:56,script=/bin/evil"},
        {"bridge": " outer"},
    ],
)
def test_a_devices_value_cannot_become_another_key(card: dict[str, str]) -> None:
    """xl knows no way to write a comma there."""
    with pytest.raises(EngineError, match="cannot be written"):
        configuration.render({"vif": [card]})


@pytest.mark.parametrize(
    "answer", [{"name": "other"}, {"uuid": "x"}, {"on_crash": "destroy"}, {"a\nb": 1}, {"": 1}]
)
def test_a_device_sets_nothing_of_the_engines(answer: dict[str, Any]) -> None:
    """Nor does it smuggle a line in as a key."""
    with pytest.raises(DriverError, match="not a device's to set"):
        configuration.merged({"disk": answer})


def test_two_devices_that_contradict_each_other_are_named() -> None:
    """Lists are joined, other settings must agree."""
    answers = {"a": {"usb": 1, "disk": ["x"]}, "b": {"usb": 1, "disk": ["y"]}}
    assert configuration.merged(answers) == {"usb": 1, "disk": ["x", "y"]}
    with pytest.raises(DriverError, match="b: xl_config: usb is 0"):
        configuration.merged({"a": {"usb": 1}, "b": {"usb": 0}})


@pytest.mark.parametrize("value", [None, 1.5, {"a": 1}, [1]])
def test_what_has_no_form_is_refused(value: object) -> None:
    """Only strings, whole numbers, booleans, and lists of strings and devices have one."""
    with pytest.raises(EngineError, match="no form"):
        configuration.render({"key": value})


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"memory_bytes": 2**20 + 1}, "whole MiB"),
        ({"boot": {}}, "needs boot.kernel"),
        ({"options": {"stub_domain": True}}, "no device model"),
        *(
            (
                {"options": {"type": "pv"}, "watchdog": WatchdogEntry("xen_wdt", action=action)},
                "cannot go on",
            )
            for action in (Action.PAUSE, Action.NMI, Action.NOTIFY, Action.SHUTDOWN)
        ),
    ],
)
def test_what_xen_cannot_start_is_refused_before_it_is_tried(
    more: dict[str, Any], words: str
) -> None:
    """With what to do about it."""
    with pytest.raises(EngineError, match=words):
        realize.live(definition(**more), FixedRoom({}), HERE)


def test_a_pvh_guest_has_no_device_of_the_host() -> None:
    """xl would refuse it when it makes the domain."""
    with pytest.raises(EngineError, match="pvh guest cannot have"):
        realize.live(definition(), FixedRoom({"card": {"pci": ["0000:03:00.0"]}}), HERE)


def test_a_domain_keeps_what_it_was_started_with() -> None:
    """Its MACs and its disks' names are the guest's; bridges and paths are each host's own."""
    room = FixedRoom({"eth0": {"vif": [CARD]}, "root": {"disk": [DISK]}})
    live = realize.live(definition(), room, HERE)
    there = FixedRoom(
        {
            "eth0": {"vif": [{**CARD, "bridge": "br9"}]},
            "root": {"disk": [{**DISK, "target": "/elsewhere.img"}]},
        }
    )
    made = realize.place(live, there)
    assert made["vif"] == [{**CARD, "bridge": "br9"}]
    assert realize.live(live, there, Facts("4.18.0", "0", ())) == live
    other = FixedRoom({"eth0": {"vif": [{**CARD, "mac": "52:54:00:00:00:01"}]}})
    with pytest.raises(EngineError, match="device eth0"):
        realize.place(live, other)
