"""What a guest's driver does with an i6300esb card."""

from domwarden.contract import BusDevice
from domwarden_hvm_wdt.i6300esb import I6300esb

from .machine import ManualMachine

BAR = 0xFEBF_0000


class Guest:
    """Finds the card on a machine's buses alone, as Linux's i6300esb.c does."""

    def __init__(self, machine: ManualMachine) -> None:
        self.machine = machine
        self.config = self.find()

    def find(self) -> BusDevice:
        for config in self.machine.slots.values():
            if config.read(0, 4) == 0x25AB_8086:
                return config
        raise AssertionError("no such card")

    def place(self, address: int = BAR) -> None:
        self.config.write(0x10, 4, address)
        self.config.write(0x04, 2, self.config.read(0x04, 2) | 2)

    def memory(self) -> BusDevice:
        (_, device), *_ = self.machine.mmio.values()
        return device

    def unlock(self) -> None:
        self.memory().write(0x0C, 2, 0x80)
        self.memory().write(0x0C, 2, 0x86)

    def set_timers(self, counts: int) -> None:
        for register in (0x00, 0x04):
            self.unlock()
            self.memory().write(register, 4, counts)

    def start(self, counts: int, lock: int = 0x02) -> None:
        self.place()
        self.set_timers(counts)
        self.config.write(0x68, 1, lock)

    def kick(self) -> None:
        self.unlock()
        self.memory().write(0x0C, 2, 0x100)

    def rebooted_by_card(self) -> bool:
        return bool(self.memory().read(0x0C, 2) & 0x1000)


def machine_with_card(now_ns: int = 0) -> ManualMachine:
    machine = ManualMachine(now_ns)
    assert I6300esb("watchdog", {}).attach(None, machine) is True  # type: ignore[arg-type] # unused
    return machine
