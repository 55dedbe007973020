"""The ib700 model as a guest and a host see it."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domwarden.contract import Armed
from domwarden_hvm_wdt import Ib700
from domwarden_hvm_wdt.ib700_card import BASE, Ib700Card

from .machine import ManualMachine
from .qemu_cards import LETTER, QemuCards, qemu_cards


def machine_with_card(now_ns: int = 0) -> ManualMachine:
    machine = ManualMachine(now_ns)
    assert Ib700("watchdog", {}).attach(None, machine) is True  # type: ignore[arg-type] # unused
    return machine


def out(machine: ManualMachine, port: int, value: int) -> None:
    machine.ports[BASE][1].write(port - BASE, 1, value)


@pytest.mark.parametrize(("value", "seconds"), [(0, 30), (1, 28), (14, 2), (15, 0), (0x1E, 2)])
def test_the_value_written_chooses_the_time(value: int, seconds: int) -> None:
    """Its low four bits count down from 30 s in steps of 2."""
    machine = machine_with_card()
    out(machine, 0x443, value)
    machine.advance(40)
    assert [when for when, _ in machine.expiries] == [seconds * 10**9]
    assert machine.read_watchdog().armed is Armed.DISARMED


def test_a_kick_moves_the_deadline_and_any_write_disarms() -> None:
    """Port 0x443 kicks, port 0x441 disarms."""
    machine = machine_with_card()
    out(machine, 0x443, 10)
    machine.advance(9)
    assert machine.read_watchdog().time_left_seconds == 1
    out(machine, 0x443, 10)
    reading = machine.read_watchdog()
    assert (reading.time_left_seconds, reading.timeout_seconds) == (10, 10)
    assert reading.last_kick_seconds_ago == 0
    out(machine, 0x441, 0xFF)
    machine.advance(60)
    assert not machine.expiries


def test_a_reset_disarms() -> None:
    """The machine starts over unguarded until its guest arms the card."""
    machine = machine_with_card()
    out(machine, 0x443, 14)
    machine.reset()
    machine.advance(60)
    assert not machine.expiries


def test_the_deadline_travels_with_the_state() -> None:
    """Onto a machine whose clock shows another time."""
    machine = machine_with_card()
    out(machine, 0x443, 0)
    machine.advance(12)
    there = machine_with_card(now_ns=5)
    there.load(machine.saved())
    assert there.read_watchdog() == machine.read_watchdog()
    there.advance(18)
    assert len(there.expiries) == 1
    with pytest.raises(ValueError, match="card"):
        there.load({"watchdog/ib700": b"\0"})


ACCESSES = st.tuples(st.integers(0, 3), st.sampled_from([1, 2, 4]), st.integers(0, 2**32 - 1))
READS = st.tuples(st.integers(0, 3), st.sampled_from([1, 2, 4]), st.none())
RUNS = st.integers(1, 30_000)


def compare(qemu: QemuCards, sequence: list[object]) -> None:
    qemu.reset()
    card = qemu.card()
    machine = ManualMachine(card.now_ns)
    model = Ib700Card(machine)
    for operation in sequence:
        if isinstance(operation, int):
            run(qemu, machine, model, counts=operation)
            continue
        offset, size, value = operation  # type: ignore[misc] # the strategies above
        if offset + size > 4:
            continue
        port = f"{LETTER[size]} {BASE + offset:#x}"
        if value is None:
            assert qemu.ask([f"in{port}"]) == [model.read(offset, size)]
        else:
            value &= (1 << 8 * size) - 1
            qemu.ask([f"out{port} {value:#x}"])
            model.write(offset, size, value)
        expected = -1 if model.deadline_ns is None else model.deadline_ns
        card = qemu.card()
        assert (card.ib700_deadline_ns, card.now_ns) == (expected, machine.now_ns)


def run(qemu: QemuCards, machine: ManualMachine, model: Ib700Card, counts: int) -> None:
    before, alarm_ns = len(machine.expiries), machine.now_ns + counts * (30 << 15)
    machine.advance_to(alarm_ns, until_expiry=True)
    if len(machine.expiries) > before:
        qemu.run()
        assert qemu.card().now_ns == machine.now_ns
    else:
        qemu.run_at_most_counts(counts)
        now_ns = qemu.card().now_ns
        assert alarm_ns <= now_ns <= max(alarm_ns, model.deadline_ns or alarm_ns)
        machine.now_ns = now_ns
    assert qemu.card().ib700_deadline_ns == (model.deadline_ns or -1)


@pytest.mark.live
def test_the_model_is_qemus_card(tmp_path: Path) -> None:
    """Same reads, same deadlines, same firing at the same nanosecond."""
    with qemu_cards(tmp_path) as qemu:

        @settings(max_examples=60, database=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(st.one_of(ACCESSES, READS, RUNS), min_size=10, max_size=25))
        def same(sequence: list[object]) -> None:
            compare(qemu, sequence)

        same()
