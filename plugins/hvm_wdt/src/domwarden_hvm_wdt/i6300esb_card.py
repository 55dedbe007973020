"""The i6300esb card on an embedded machine."""

from __future__ import annotations

from domwarden.contract import Machine, ResetKind
from domwarden_hvm_wdt.i6300esb_registers import BAR_BYTES, I6300esbConfig, I6300esbMemory
from domwarden_hvm_wdt.pci_config import SIZE
from domwarden_hvm_wdt.two_stage import TwoStageTimer

#: The PCI slot it sits in; guests find it by vendor and device id.
SLOT = 31


class I6300esbCard:
    """Timer, registers, and the place of the registers in memory, which the guest chooses."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.timer = TwoStageTimer(machine.clock_ns, machine.timer, machine.expire)
        self.memory = I6300esbMemory(self.timer)
        self.config = I6300esbConfig(self.timer)
        self.config.moved = self._place
        self._placed: int | None = None

    def plug(self, device_id: str) -> None:
        """Put the card into the machine."""
        machine = self._machine
        machine.map_pci(SLOT, self.config)
        machine.add_state(f"{device_id}/i6300esb", self.save, self.load)
        machine.add_reset(self.reset)
        machine.add_reading(self.timer.reading)

    def reset(self, kind: ResetKind) -> None:
        """Reset with the machine; the previous-reboot flag survives all but a cold start."""
        self.timer.reset()
        self.config.reset()
        if kind is ResetKind.POWER_ON:
            self.timer.previous_reboot = False

    def save(self) -> bytes:
        """Return configuration space and timer as bytes."""
        return bytes(self.config.bytes) + self.timer.save()

    def load(self, data: bytes) -> None:
        """Take what :meth:`save` returned; raises ValueError for anything else."""
        self.timer.load(data[SIZE:])
        self.config.bytes[:] = data[:SIZE]
        self._place()

    def _place(self) -> None:
        wanted = self.config.bar_address
        if wanted == self._placed:
            return
        if self._placed is not None:
            self._machine.unmap_mmio(self._placed)
            self._placed = None
        if wanted is not None:
            try:
                self._machine.map_mmio(wanted, BAR_BYTES, self.memory)
            except ValueError:
                return  # the guest put it on top of something else: that other device answers
            self._placed = wanted
