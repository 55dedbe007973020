"""The live definition is settled once, and stays the guest's machine wherever it goes."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden.contract import DriverError, EngineError, QemuArgument
from domwarden_qemu import realize
from domwarden_qemu.addresses import FIRST_SLOT, LAST_SLOT, assign

from .rooms import CAPABILITIES, CARD, FixedRoom, definition

NIC = QemuArgument("device", {"driver": "virtio-net-pci", "id": "eth0"})


def test_aliases_become_versions() -> None:
    live = realize.live(definition(), FixedRoom({"watchdog": [CARD]}), CAPABILITIES).live
    assert (live["machine"], live["cpu"], live["accel"]) == ("pc-i440fx-7.2", "qemu64-v1", "tcg")
    assert live["addresses"] == {"watchdog": "0x3"}
    assert live["watchdog_action"] == "reset"


def test_what_is_settled_stays_on_a_newer_host() -> None:
    room = FixedRoom({"watchdog": [CARD]})
    once = realize.live(definition(), room, CAPABILITIES)
    newer = dataclasses.replace(CAPABILITIES, machines={"pc": "pc-i440fx-9.0"}, version="9.0.0")
    assert realize.live(once, room, newer) == once


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"machine": "pc-i440fx-99"}, "no machine type pc-i440fx-99"),
        ({"cpu": "Mystery"}, "cannot offer a whole Mystery processor"),
    ],
)
def test_what_the_host_cannot_offer_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        realize.live(definition(options=options), FixedRoom({}), CAPABILITIES)


def test_a_baseline_is_one_that_the_host_offers_completely() -> None:
    accelerated = dataclasses.replace(CAPABILITIES, accel="kvm")
    assert accelerated.cpu("auto") == "Nehalem-v1"  # not Haswell-noTSX, which lacks something here
    assert CAPABILITIES.cpu("auto") == "qemu64-v1"


def test_odd_memory_is_refused() -> None:
    with pytest.raises(EngineError, match="whole MiB"):
        realize.live(definition(memory_bytes=2**20 + 1), FixedRoom({}), CAPABILITIES)


def test_an_edited_device_does_not_replace_the_guests() -> None:
    live = realize.live(definition(), FixedRoom({"watchdog": [CARD]}), CAPABILITIES)
    other = QemuArgument("device", {"driver": "ib700", "id": "watchdog"})
    with pytest.raises(EngineError, match="watchdog is a ib700 here, but i6300esb when"):
        realize.place(live, FixedRoom({"watchdog": [other]}))
    with pytest.raises(EngineError, match="eth0 is a virtio-net-pci here, but not there when"):
        realize.place(live, FixedRoom({"watchdog": [CARD], "eth0": [NIC]}))


def test_a_device_unplugged_for_the_move_keeps_its_address_for_its_return() -> None:
    room, bare = FixedRoom({"watchdog": [CARD], "eth0": [NIC]}), FixedRoom({"watchdog": [CARD]})
    live = realize.live(definition(), room, CAPABILITIES)
    assert len(realize.place(live, bare)) == 1
    there = realize.live(live, bare, CAPABILITIES)
    assert there.live["addresses"]["eth0"] == "0x4"
    assert {entry["id"] for entry in there.live["devices"]} == {"watchdog", "eth0"}
    assert len(realize.place(there, room)) == 2


def test_host_specific_values_are_the_hosts_own() -> None:
    live = realize.live(definition(), FixedRoom({"eth0": [NIC]}), CAPABILITIES)
    there = QemuArgument("device", {**NIC.value, "host_mtu": 1400})
    (placed,) = realize.place(live, FixedRoom({"eth0": [there]}))
    assert placed.value == {**NIC.value, "host_mtu": 1400, "addr": "0x3"}


def test_no_slot_is_left_for_one_device_too_many() -> None:
    cards = [
        QemuArgument("device", {"driver": "i6300esb", "id": f"c{number}"})
        for number in range(LAST_SLOT - FIRST_SLOT + 2)
    ]
    with pytest.raises(DriverError, match="no PCI slot is left"):
        assign(cards, CAPABILITIES.is_pci, {})


def test_a_pci_device_needs_an_id() -> None:
    with pytest.raises(DriverError, match="needs an id"):
        assign([QemuArgument("device", {"driver": "i6300esb"})], CAPABILITIES.is_pci, {})


DEVICE = st.fixed_dictionaries(
    {"driver": st.sampled_from(["i6300esb", "virtio-net-pci", "virtio-blk", "usb-kbd"])},
    optional={"addr": st.integers(3, 28).map(hex), "bus": st.just("port1")},
)


@given(st.lists(DEVICE, max_size=12), st.sets(st.integers(3, 28), max_size=4))
def test_addresses_are_unique_stable_and_only_where_needed(
    devices: list[dict[str, str]], taken: set[int]
) -> None:
    arguments = [
        QemuArgument("device", {**device, "id": f"d{number}"})
        for number, device in enumerate(devices)
    ]
    known = {f"old{slot}": hex(slot) for slot in taken}
    placed, addresses = assign(arguments, CAPABILITIES.is_pci, known)
    given_slots = [addresses[name] for name in addresses if name not in known]
    own = {device["addr"] for device in devices if "addr" in device and "bus" not in device}
    assert len(set(given_slots)) == len(given_slots)
    assert not set(given_slots) & (own | set(known.values()))
    for device, argument in zip(devices, placed, strict=True):
        needs = device["driver"] != "usb-kbd" and "addr" not in device and "bus" not in device
        assert ("addr" in argument.value) == (needs or "addr" in device)
    again, same = assign(arguments, CAPABILITIES.is_pci, addresses)
    assert (again, same) == (placed, addresses)
