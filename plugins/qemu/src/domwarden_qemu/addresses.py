"""Which PCI slot each device gets, the same on every host it comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from domwarden.contract import DriverError, QemuArgument

#: Slots 0 to 2 are the chipset's and, by custom, the display's; q35 has its chipset at 29 to 31.
FIRST_SLOT, LAST_SLOT = 3, 28


def assign(
    arguments: Sequence[QemuArgument],
    is_pci: Callable[[str], bool],
    known: Mapping[str, str],
) -> tuple[list[QemuArgument], dict[str, str]]:
    """Return the arguments with a PCI address each, with all addresses by device id.

    ``known`` are addresses that must stay.  A device that brings its own ``addr`` or ``bus`` keeps
    it.  Raises DriverError for a PCI device without an id, or when no slot is left.
    """
    own = [
        str(argument.value["addr"])
        for argument in arguments
        if argument.option == "device" and "addr" in argument.value and "bus" not in argument.value
    ]
    taken = {_slot(address) for address in (*known.values(), *own)}
    free = (slot for slot in range(FIRST_SLOT, LAST_SLOT + 1) if slot not in taken)
    placed: list[QemuArgument] = []
    addresses = dict(known)
    for argument in arguments:
        value: Mapping[str, Any] = argument.value
        if argument.option != "device" or not is_pci(str(value.get("driver", ""))):
            placed.append(argument)
            continue
        if "id" not in value:
            raise DriverError(f"-device {value.get('driver')}: a PCI device needs an id")
        if "addr" not in value and "bus" not in value:
            if value["id"] not in addresses:
                slot = next(free, None)
                if slot is None:
                    raise DriverError(f"-device {value['driver']}: no PCI slot is left for it")
                addresses[value["id"]] = hex(slot)
            value = {**value, "addr": addresses[value["id"]]}
        placed.append(QemuArgument(argument.option, value))
    return placed, addresses


def _slot(address: str) -> int:
    """Return the slot of ``0x4`` or ``4.0`` (QEMU reads both numbers as hexadecimal)."""
    return int(address.partition(".")[0], 16)
