"""What QEMU can do here is found by running it, and believed until the reboot."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest
import voluptuous as vol

from domwarden.contract import EngineError, Host
from domwarden.testing.require import program
from domwarden_qemu import capabilities, files
from domwarden_qemu.acceleration import accelerates, firmware, preferred
from domwarden_qemu.capabilities import probe
from domwarden_qemu.schema import HOST_SCHEMA, SCHEMA, HostOptions, Options

from .rooms import CAPABILITIES, host


def _qemu() -> str:
    return program("qemu", "qemu-system-x86_64")


@pytest.mark.live
async def test_the_probe_believes_only_executed_guest_code() -> None:
    """TCG runs the firmware; QEMU with another firmware runs too, and proves nothing."""
    assert await accelerates(_qemu(), "tcg", 60.0)


@pytest.mark.live
async def test_a_guest_that_never_answers_is_no_acceleration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a host whose /dev/kvm exists and never executes an instruction."""
    monkeypatch.setattr("domwarden_qemu.acceleration._CODE", b"\xf4")  # hlt
    assert not await accelerates(_qemu(), "tcg", 2.0)


@pytest.mark.live
async def test_an_accelerator_that_is_not_there_is_no_acceleration() -> None:
    assert not await accelerates(_qemu(), "no-such", 10.0)


@pytest.mark.live
async def test_qemu_tells_its_machines_processors_and_pci_devices(tmp_path: Path) -> None:
    _qemu()
    found = await probe(host(tmp_path), HostOptions(accel="tcg"))
    assert found.machine("pc").startswith("pc-i440fx-")
    assert found.cpu("auto") == "qemu64-v1"
    assert found.is_pci("i6300esb")
    assert found.is_pci("virtio-net-pci")
    assert found.is_pci("virtio-blk")  # an alias
    assert not found.is_pci("tpm-tis")
    assert not found.is_pci("isa-serial")
    assert await probe(host(tmp_path), HostOptions(accel="tcg")) == found


def test_the_firmware_starts_at_the_reset_vector() -> None:
    image = firmware()
    assert len(image) == 65536
    assert image[0xFFF0:0xFFF5] == bytes.fromhex("ea000000f0")


async def test_a_qemu_that_is_not_installed_is_named_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"no-such-qemu is not installed here \(apt install"):
        await probe(host(tmp_path), HostOptions(binary="no-such-qemu"))


def _program(tmp_path: Path, text: str) -> str:
    program = tmp_path / "qemu"
    program.write_text(f"#!{sys.executable}\n{text}")
    program.chmod(0o755)
    return str(program)


async def test_a_qemu_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    broken = _program(tmp_path, "import sys; sys.exit('could not load firmware')")
    with pytest.raises(EngineError, match="could not load firmware"):
        await probe(host(tmp_path), HostOptions(binary=broken, accel="tcg"))


async def test_the_answers_are_kept_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        {"return": {}},
        {"return": {"qemu": {"major": 7, "minor": 2, "micro": 22}}},
        {"return": [{"name": "pc-i440fx-7.2", "alias": "pc"}]},
        {
            "return": [
                {"name": "qemu64", "alias-of": "qemu64-v1", "unavailable-features": []},
                {"name": "Haswell-noTSX", "unavailable-features": ["avx2"]},
            ]
        },
        {"return": [{"name": "i6300esb"}, {"name": "pci-base", "abstract": True}]},
        {"return": {}},
    ]
    lines = "\n".join(json.dumps(answer) for answer in answers)
    program = _program(
        tmp_path,
        f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).open('a').write('x')\n"
        f"print({lines!r})\n",
    )
    options = HostOptions(binary=program, accel="tcg")
    found = await probe(host(tmp_path), options)
    assert found.machines == {"pc": "pc-i440fx-7.2", "pc-i440fx-7.2": "pc-i440fx-7.2"}
    assert found.cpus == {"qemu64": "qemu64-v1"}
    assert found.pci == ["i6300esb"]
    assert await probe(host(tmp_path), options) == found
    assert (tmp_path / "ran").read_text() == "x"
    monkeypatch.setattr(capabilities, "boot_id", lambda: "the next boot")
    await probe(host(tmp_path), options)
    (tmp_path / "qemu-capabilities.json").write_text("{")
    await probe(host(tmp_path), options)
    assert (tmp_path / "ran").read_text() == "xxx"


def test_a_model_of_this_host_alone_is_taken_as_it_is() -> None:
    assert CAPABILITIES.cpu("host") == "host"


@pytest.mark.parametrize(
    ("schema", "options"),
    [(SCHEMA, Options()), (HOST_SCHEMA, HostOptions())],
    ids=["domain", "host"],
)
def test_the_schemas_defaults_are_the_codes(schema: dict[object, object], options: object) -> None:
    assert vol.Schema(schema)({}) == dataclasses.asdict(options)  # type: ignore[call-overload]  # a dataclass
    assert vol.Schema(schema)(vol.Schema(schema)({})) == vol.Schema(schema)({})


@pytest.mark.parametrize(
    ("schema", "wrong"),
    [
        (SCHEMA, {"machine": "pc,dump-guest-core=off"}),
        (SCHEMA, {"switchover_timeout": "soon"}),
        (SCHEMA, {"auto_converge": "yes"}),
        (HOST_SCHEMA, {"listen": "example.org"}),
        (HOST_SCHEMA, {"listen": "0.0.0.0"}),
        (HOST_SCHEMA, {"listen": "::"}),
        (HOST_SCHEMA, {"migration_ports": 49152}),
        (HOST_SCHEMA, {"migration_ports": [49152]}),
        (HOST_SCHEMA, {"migration_ports": [49215, 49152]}),
        (HOST_SCHEMA, {"migration_ports": [0, 49152]}),
        (HOST_SCHEMA, {"migration_ports": [True, 49152]}),
        (HOST_SCHEMA, {"migration_ports": [1, 65536]}),
        (HOST_SCHEMA, {"accel": "xen"}),
    ],
)
def test_wrong_values_are_refused(schema: dict[object, object], wrong: dict[str, str]) -> None:
    with pytest.raises(vol.Invalid):
        vol.Schema(schema)(wrong)


def test_a_state_directory_too_long_for_sockets_is_refused_before_anything_is_made(
    tmp_path: Path,
) -> None:
    deep = tmp_path / ("x" * 100)
    with pytest.raises(EngineError, match=r"too long for a socket.*shorter state directory"):
        files.Files(Host("a", deep), "web1").create()
    assert not deep.exists()


@pytest.mark.live
@pytest.mark.parametrize(("under_kvm", "accel"), [("exit 67", "kvm"), ("exec sleep 30", "tcg")])
async def test_kvm_is_preferred_only_where_it_answers_in_time(
    under_kvm: str, accel: str, tmp_path: Path
) -> None:
    """As on a host whose /dev/kvm interprets instructions: its answer would be right, and late."""
    binary = tmp_path / "qemu"
    binary.write_text(f'#!/bin/sh\ncase "$*" in *"accel kvm"*) {under_kvm};; esac\nexit 67\n')
    binary.chmod(0o755)
    assert await preferred(str(binary)) == accel
