"""The embedded machine's network card."""

from collections.abc import Callable
from typing import Any

import pytest

from domwarden_net import Net
from domwarden_net.nic import BASE, MAC_HIGH, MAC_LOW, MAGIC, SLOTS, STRIDE, Nic

from .views import view


class Machine:
    """What a card needs of an embedded machine."""

    def __init__(self) -> None:
        self.mmio: dict[int, Nic] = {}
        self.states: dict[str, tuple[Callable[[], bytes], Callable[[bytes], None]]] = {}
        self.commands: dict[tuple[str, str], Any] = {}

    def map_mmio(self, base: int, size: int, device: Nic) -> None:
        if base in self.mmio:
            raise ValueError("overlap")
        self.mmio[base] = device

    def add_state(
        self, section: str, save: Callable[[], bytes], load: Callable[[bytes], None]
    ) -> None:
        self.states[section] = (save, load)

    def add_command(self, device: str, command: str, handler: Any) -> None:
        self.commands[device, command] = handler


def machine_with(**options: str) -> Machine:
    machine = Machine()
    Net("eth0", {"mode": "user", **options}).attach(view(engine="embedded"), machine)  # type: ignore[arg-type] # not all of it
    return machine


def test_a_guest_reads_the_mac() -> None:
    """As two words, after the letters nic0."""
    nic = machine_with(mac="52:54:00:12:34:56").mmio[BASE]
    assert nic.read(0, 4) == MAGIC
    low, high = nic.read(MAC_LOW, 4), nic.read(MAC_HIGH, 4)
    assert low.to_bytes(4, "little") + high.to_bytes(2, "little") == bytes.fromhex("525400123456")
    assert nic.read(0x20, 4) == 0xFFFF_FFFF
    nic.write(MAC_LOW, 4, 0)
    assert nic.read(MAC_LOW, 4) == low


async def test_mac_and_announcements_travel_with_the_state() -> None:
    """The stream's MAC wins over what the destination would have made."""
    here, there = machine_with(mac="52:54:00:12:34:56"), machine_with()
    await here.commands["eth0", "announce"]({})
    section, (save, _) = here.states.popitem()
    there.states[section][1](save())
    answer = await there.commands["eth0", "announce"]({})
    assert answer == {"mac": "52:54:00:12:34:56", "announced": 2}
    with pytest.raises(ValueError, match="network card"):
        there.states[section][1](b"")


def test_cards_take_the_next_free_place_until_there_is_none() -> None:
    """In the order of the file, so the same on every host."""
    machine = Machine()
    for slot in range(SLOTS):
        Nic("52:54:00:00:00:01").plug(machine, f"eth{slot}")  # type: ignore[arg-type] # as above
        assert BASE + slot * STRIDE in machine.mmio
    with pytest.raises(ValueError, match="all 16 places"):
        Nic("52:54:00:00:00:01").plug(machine, "eth16")  # type: ignore[arg-type] # as above
