"""Every driver of the workspace keeps the contract, and all of them together move in every way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from domwarden.plugins import Kind, installed, load
from domwarden.testing.devices import check_device
from domwarden.testing.ways import move_checks
from domwarden.testing.world import Device

#: Options with which each device and watchdog is made, and the engines' hooks that it has.
EVERY = ("attach", "qemu_args", "xl_config")
CASES: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("blk", {"source": "/srv/web1.img", "placement": "mirror", "verify": True}, EVERY),
    ("blk", {"source": "/srv/web1.qcow2", "placement": "shared"}, EVERY),
    ("blk", {"source": "/srv/web1.img"}, EVERY),
    ("licence", {"licence": "cad"}, EVERY),
    ("net", {"mode": "user"}, EVERY),
    ("net", {"bridge": "br0", "mac": "52:54:00:12:34:56"}, EVERY),
    ("pci", {"model": "nvme"}, ("qemu_args", "xl_config")),
    ("pci", {"host": "0000:03:00.0", "on_migrate": "unplug"}, ("qemu_args", "xl_config")),
    ("tpm", {"move": "stream"}, EVERY),
    ("tpm", {"move": "tool"}, EVERY),
    ("tpm", {}, EVERY),
    ("usb", {"model": "usb-mtp"}, ("qemu_args",)),
    ("usb", {"host": "0951:1666", "on_migrate": "unplug"}, ("qemu_args",)),
    ("i6300esb", {}, EVERY),
    ("ib700", {}, EVERY),
    ("xen_wdt", {}, ("attach", "xl_config")),
    ("xen_wdt", {"clock": "guest"}, ("attach", "xl_config")),
]
KINDS = {info.name: info.kind for info in installed() if info.kind in (Kind.DEVICE, Kind.WATCHDOG)}


def test_every_installed_driver_has_a_case() -> None:
    """No driver is forgotten below."""
    assert set(KINDS) == {name for name, _, _ in CASES}


@pytest.mark.parametrize(("name", "options", "hooks"), CASES)
def test_driver_keeps_the_contract(name, options, hooks) -> None:
    """Its hooks decide without I/O, remember nothing, and answer what they may at every step."""
    check_device(
        load(KINDS[name], name).cls,
        options,
        kind=KINDS[name],
        engine_hooks=hooks,
        host_settings={"directory": "/srv"} if name == "licence" else None,
    )


def _device(name: str, **options: Any) -> Device:
    return Device(name, load(KINDS[name], name).cls, options)


@pytest.fixture
def office(move_world, tmp_path: Path):
    """A maker of worlds: each domain has a mirrored disk, a card, a TPM, a licence, a watchdog."""
    made = iter(range(100))

    def make():
        root = tmp_path / f"office-{next(made)}"
        images = {host: root / f"images-{host}" for host in "ab"}
        licences = root / "licences"
        for directory in (*images.values(), licences):
            directory.mkdir(parents=True)
        (licences / "cad.free").touch()
        content = bytes(range(256)) * 256
        (images["a"] / "web1.img").write_bytes(content)
        settings = {
            host: {
                "blk": {"directories": {str(images[other]): str(images[host])}},
                "licence": {"directory": str(licences)},
            }
            for host, other in ("ab", "ba")
        }
        devices = {
            "root": _device("blk", source=str(images["a"] / "web1.img"), placement="mirror"),
            "eth0": _device("net", mode="user"),
            "tpm0": _device("tpm", move="stream"),
            "cad": _device("licence", licence="cad"),
        }

        def settled(host: str | None) -> None:
            if host is not None:
                assert (images[host] / "web1.img").read_bytes() == content
                assert [file.name for file in licences.iterdir()] == [f"cad.held.{host}.web1"]

        return move_world(devices, watchdog=_device("i6300esb"), settings=settings, settled=settled)

    return make


@pytest.mark.parametrize("check", move_checks(), ids=lambda check: check.__name__)
async def test_all_devices_move_together_in_every_way(check, office, move_world) -> None:
    """The disk's content and the licence are where the domain is, whatever happened on the way."""
    await check(office)
