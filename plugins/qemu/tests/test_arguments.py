"""Command lines are what the golden files say."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from domwarden.contract import Action, DriverError, EngineError, QemuArgument, WatchdogEntry
from domwarden_qemu import realize
from domwarden_qemu.arguments import WATCHDOG_ACTIONS, command_line, render
from domwarden_qemu.files import Files

from .rooms import CAPABILITIES, CARD, FixedRoom, definition, host

GOLDEN = Path(__file__).parent / "golden"

DISK = [
    QemuArgument("blockdev", {"driver": "file", "filename": "/i/w,1", "node-name": "root-file"}),
    QemuArgument(
        "blockdev",
        {"driver": "qcow2", "file": "root-file", "node-name": "root", "discard": "unmap"},
    ),
    QemuArgument("device", {"driver": "virtio-blk-pci", "id": "root", "drive": "root"}),
]
NETWORK = [
    QemuArgument("netdev", {"type": "tap", "id": "eth0", "ifname": "dw0", "script": "no"}),
    QemuArgument(
        "device",
        {"driver": "virtio-net-pci", "id": "eth0", "netdev": "eth0", "mac": "52:54:00:12:34:56"},
    ),
]
TPM = [
    QemuArgument("chardev", {"backend": "socket", "id": "tpm0", "path": "/run/a,b/tpm"}),
    QemuArgument("tpmdev", {"type": "emulator", "id": "tpm0", "chardev": "tpm0"}),
    QemuArgument("device", {"driver": "tpm-tis", "tpmdev": "tpm0", "id": "tpm0"}),
]

CASES = {
    "bare": ({}, {"watchdog": None}, {}),
    "devices": (
        {"watchdog": [CARD], "root": DISK, "eth0": NETWORK, "tpm0": TPM},
        {"vcpus": 2},
        {},
    ),
    "incoming": ({"watchdog": [CARD]}, {}, {"held": True, "incoming": True}),
    "held-nmi": (
        {"watchdog": [CARD]},
        {"watchdog": WatchdogEntry("i6300esb", action=Action.NMI)},
        {"held": True},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_command_line_is_the_golden_one(case: str) -> None:
    answers, changes, start = CASES[case]
    room = FixedRoom(answers)
    live = realize.live(definition(**changes), room, CAPABILITIES)
    command = command_line(
        live,
        Files(host(Path("/var/lib/domwarden")), "web1"),
        "qemu-system-x86_64",
        realize.place(live, room),
        **{"held": False, "incoming": False, **start},
    )
    text = "\n".join(command) + "\n"
    path = GOLDEN / f"{case}.args"
    if os.environ.get("DOMWARDEN_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


def test_json_options_keep_their_types() -> None:
    argument = QemuArgument("device", {"driver": "x", "id": "y", "n": 3, "on": True})
    assert json.loads(render(argument)[1]) == argument.value


def test_other_options_flatten_and_double_their_commas() -> None:
    value = {"backend": "socket", "addr": {"type": "unix", "path": "/a,b"}, "server": True}
    assert render(QemuArgument("chardev", value)) == [
        "-chardev",
        "backend=socket,addr.type=unix,addr.path=/a,,b,server=on",
    ]


def test_a_value_without_a_form_is_the_drivers_fault() -> None:
    with pytest.raises(DriverError, match=r"-tpmdev: path: \['x'\]"):
        render(QemuArgument("tpmdev", {"path": ["x"]}))


def test_a_definition_that_is_not_live_starts_nothing() -> None:
    with pytest.raises(EngineError, match="not a live definition"):
        command_line(
            definition(), Files(host(Path("/s")), "web1"), "q", [], held=False, incoming=False
        )


def test_every_action_has_a_word_of_qemu() -> None:
    assert set(WATCHDOG_ACTIONS) == set(Action)
