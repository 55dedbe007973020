"""Registers are found by address; PCI slots by the two configuration ports."""

import pytest

from domwarden.embedded.bus import AddressBus
from domwarden.embedded.pci import PciBridge
from domwarden.testing.machine import DeviceBench


class Bytes:
    def __init__(self, size=256):
        self.cells = bytearray(size)

    def read(self, offset, size):
        return int.from_bytes(self.cells[offset : offset + size], "little")

    def write(self, offset, size, value):
        self.cells[offset : offset + size] = value.to_bytes(size, "little")


def test_bus_reaches_the_device_by_offset():
    bus, device = AddressBus("bus"), Bytes(16)
    bus.map(0x100, 16, device)
    bus.write(0x104, 4, 0x1_2345_6789)
    assert bus.read(0x104, 4) == 0x2345_6789
    assert bus.read(0x106, 1) == 0x45
    assert device.cells[4:8] == b"\x89\x67\x45\x23"


def test_empty_addresses_read_ones_and_swallow_writes():
    bus = AddressBus("bus")
    bus.write(0, 4, 7)
    assert [bus.read(0, size) for size in (1, 2, 4)] == [0xFF, 0xFFFF, 0xFFFF_FFFF]
    bus.map(0x10, 4, Bytes())
    assert bus.read(0x12, 4) == 0xFFFF_FFFF  # crosses the end


@pytest.mark.parametrize(("base", "size"), [(0x0F, 2), (0x10, 1), (0x13, 9), (0, 0x100)])
def test_overlap_is_refused(base, size):
    bus = AddressBus("bus")
    bus.map(0x10, 4, Bytes())
    with pytest.raises(ValueError, match="overlaps"):
        bus.map(base, size, Bytes())
    bus.unmap(0x10)
    bus.unmap(0x10)
    bus.map(base, size, Bytes())


def test_configuration_ports_reach_the_slot():
    machine, config = DeviceBench().machine, Bytes()
    config.cells[:4] = b"\x86\x80\xab\x25"
    machine.map_pci(5, config)
    machine.ports.write(0xCF8, 4, 0x8000_0000 | 5 << 11)
    assert machine.ports.read(0xCFC, 4) == 0x25AB_8086
    assert machine.ports.read(0xCFE, 2) == 0x25AB
    machine.ports.write(0xCF8, 4, 0x8000_0000 | 5 << 11 | 0x10)
    machine.ports.write(0xCFD, 1, 0x42)
    assert config.cells[0x11] == 0x42


@pytest.mark.parametrize("address", [5 << 11, 0x8000_0000 | 6 << 11, 0x8001_0000 | 5 << 11])
def test_other_buses_slots_and_a_disabled_address_read_ones(address):
    bridge = PciBridge()
    bridge.plug(5, Bytes())
    bridge.write(0, 4, address)
    assert bridge.read(4, 4) & 0xFFFF_FFFF == 0xFFFF_FFFF


def test_slots_are_single_and_numbered_from_one():
    bridge = PciBridge()
    bridge.plug(1, Bytes())
    for slot in (0, 1, 32):
        with pytest.raises(ValueError, match="slot"):
            bridge.plug(slot, Bytes())
