"""The i6300esb model as a guest and a host see it."""

import pytest

from domwarden.contract import Action, Armed, ResetKind
from domwarden_hvm_wdt import I6300esb

from .guest import BAR, Guest, machine_with_card
from .machine import ManualMachine

#: One count at 1 kHz.
COUNT_NS = 30 << 15


def test_a_guest_finds_places_and_moves_the_card() -> None:
    """Nothing answers in memory until the guest has set the BAR and the command register."""
    machine = machine_with_card()
    guest = Guest(machine)
    assert guest.config.read(0x0A, 2) == 0x0880
    guest.config.write(0x10, 4, 0xFFFF_FFFF)
    assert guest.config.read(0x10, 4) == 0xFFFF_FFF0  # 16 bytes wide
    assert not machine.mmio
    guest.place()
    assert list(machine.mmio) == [BAR]
    guest.config.write(0x10, 4, BAR + 0x100)
    assert list(machine.mmio) == [BAR + 0x100]
    guest.config.write(0x04, 2, 0)
    assert not machine.mmio


def test_a_card_placed_over_another_device_is_not_reachable() -> None:
    """A guest's mistake must not take the machine down."""
    machine = machine_with_card()
    machine.map_mmio(BAR, 4, Guest(machine).config)
    Guest(machine).place()
    assert machine.mmio[BAR][0] == 4
    Guest(machine).place(BAR + 0x100)
    assert BAR + 0x100 in machine.mmio


def test_it_fires_after_two_stages_of_linux_heartbeat() -> None:
    """Linux writes t << 9 to both timers and waits 1.00663 × t."""
    machine = machine_with_card()
    Guest(machine).start(30 << 9)
    machine.advance(30.19)
    assert not machine.expiries
    machine.advance(0.02)
    assert machine.expiries == [(2 * (30 << 9) * COUNT_NS, "both stages of the card ran out")]


def test_a_kick_starts_the_first_stage_again() -> None:
    """Also out of the second stage."""
    machine = machine_with_card()
    guest = Guest(machine)
    guest.start(1000)
    machine.advance(1.5)  # in the second stage
    guest.kick()
    machine.advance(1.9)
    assert not machine.expiries
    machine.advance(0.1)
    assert len(machine.expiries) == 1


@pytest.mark.parametrize(
    "writes",
    [
        [(2, 0x100)],
        [(2, 0x86), (2, 0x100)],
        [(2, 0x80), (2, 0x100)],
        [(2, 0x80), (2, 0x86), (2, 0x00), (2, 0x100)],  # the unlock was consumed
        [(2, 0x80), (2, 0x86), (4, 0x100)],  # a kick is 16 bits wide
    ],
)
def test_a_kick_without_its_unlock_is_no_kick(writes: list[tuple[int, int]]) -> None:
    """Only 0x80, 0x86 and then a 16-bit write with bit 8."""
    machine = machine_with_card()
    guest = Guest(machine)
    guest.start(1000)
    machine.advance(1.0)
    for size, value in writes:
        guest.memory().write(0x0C, size, value)
    machine.advance(1.0)
    assert len(machine.expiries) == 1


def test_after_firing_it_is_disarmed_unlocked_and_remembers() -> None:
    """The flag survives the machine's reset and is cleared by its bit only."""
    machine = machine_with_card()
    guest = Guest(machine)
    guest.start(100, lock=0x03)
    guest.config.write(0x68, 1, 0)
    assert guest.config.read(0x68, 1) == 0x03  # locked: nobody disables it
    machine.advance(1)
    assert len(machine.expiries) == 1
    assert guest.config.read(0x68, 1) == 0
    machine.reset(ResetKind.WATCHDOG)
    guest.place()
    assert guest.rebooted_by_card()
    guest.unlock()
    guest.memory().write(0x0C, 2, 0x200)
    assert not guest.rebooted_by_card()


def test_a_cold_start_forgets_the_reboot() -> None:
    """The flag tells of this machine's last reboot, not of an earlier one's."""
    machine = machine_with_card()
    guest = Guest(machine)
    guest.start(10)
    machine.advance(1)
    machine.reset(ResetKind.POWER_ON)
    guest.place()
    assert not guest.rebooted_by_card()


def test_with_reboot_disabled_it_only_runs_out() -> None:
    """Bit 5 of the configuration register."""
    machine = machine_with_card()
    guest = Guest(machine)
    guest.config.write(0x60, 2, 0x20)
    guest.start(10)
    assert machine.read_watchdog().armed is Armed.DISARMED  # it guards nothing
    machine.advance(60)
    assert not machine.expiries
    assert guest.config.read(0x68, 1) == 0x02


def test_free_running_without_preloads_lets_time_pass() -> None:
    """Where QEMU's timer loop spins for ever, the model counts one count a round."""
    machine = machine_with_card()
    guest = Guest(machine)
    guest.config.write(0x60, 2, 0x20)
    guest.start(0, lock=0x06)
    machine.advance(0.1)
    assert machine.now_ns == 100_000_000


def test_a_guest_armed_within_the_reset_stays_armed() -> None:
    """A machine may reset and boot its guest while the card reports its firing."""
    machine = ResettingMachine()
    I6300esb("watchdog", {}).attach(None, machine)  # type: ignore[arg-type] # domain is not used
    Guest(machine).start(100)
    machine.advance(0.2)
    assert len(machine.expiries) == 1
    assert machine.read_watchdog().armed is Armed.ARMED


class ResettingMachine(ManualMachine):
    def expire(self, detail: str, action: Action | None = None) -> None:
        super().expire(detail, action)
        self.reset(ResetKind.WATCHDOG)
        Guest(self).start(1000)


def test_the_host_reads_armed_time_left_and_last_kick() -> None:
    """In both stages, as seconds."""
    machine = machine_with_card()
    guest = Guest(machine)
    assert machine.read_watchdog().armed is Armed.DISARMED
    guest.start(10_000)
    whole = 2 * 10_000 * COUNT_NS / 1e9
    for passed in (0, 3, 12):
        machine.advance_to(passed * 10**9)
        reading = machine.read_watchdog()
        assert reading.armed is Armed.ARMED
        assert reading.timeout_seconds == pytest.approx(whole)
        assert reading.time_left_seconds == pytest.approx(whole - passed)
        assert reading.last_kick_seconds_ago == pytest.approx(passed)
    guest.kick()
    assert machine.read_watchdog().last_kick_seconds_ago == 0


def test_the_deadline_travels_with_the_state() -> None:
    """Onto a machine whose clock shows another time."""
    machine = machine_with_card()
    Guest(machine).start(10_000)
    machine.advance(12)
    there = machine_with_card(now_ns=77)
    there.load(machine.saved())
    assert list(there.mmio) == [BAR]
    assert there.saved() == machine.saved()
    assert there.read_watchdog() == machine.read_watchdog()
    Guest(there).kick()
    there.advance(19.7)
    assert len(there.expiries) == 1


@pytest.mark.parametrize("spoil", [b"", b"\0", b"\x01" * 300, b"\xff" * 296])
def test_bytes_of_another_card_are_refused(spoil: bytes) -> None:
    """One clear ValueError, and the card is as it was."""
    machine = machine_with_card()
    before = machine.saved()
    with pytest.raises(ValueError, match="card"):
        machine.load(dict.fromkeys(before, spoil))
    assert machine.saved() == before
