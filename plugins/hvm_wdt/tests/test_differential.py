"""The i6300esb model against QEMU's own card, register by register."""

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from domwarden.contract import ResetKind

from .differential import BAR, SEQUENCES, Comparison, Config, Memory
from .qemu_cards import config_commands, memory_commands, qemu_cards

#: Sequences are longer than this on average, by a wide margin.
OPERATIONS_EACH = 50


def compare(directory: Path, operations: int) -> None:
    performed = fired = 0

    with qemu_cards(directory) as qemu:

        @settings(
            max_examples=operations // OPERATIONS_EACH,
            database=None,
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(SEQUENCES)
        def run(sequence: list[object]) -> None:
            nonlocal performed, fired
            comparison = Comparison(qemu)
            comparison.perform(sequence)
            performed += len(sequence)
            fired += comparison.fired

        run()
    assert performed >= operations
    assert fired >= operations // 100  # the sequences do reach what matters


@pytest.mark.live
def test_the_model_is_qemus_card_over_thousands_of_operations(tmp_path: Path) -> None:
    """Same reads, same state, same firing at the same nanosecond."""
    compare(tmp_path, 4_000)


@pytest.mark.slow
@pytest.mark.live
def test_the_model_is_qemus_card_over_a_hundred_thousand_operations(tmp_path: Path) -> None:
    """The same, for longer."""
    compare(tmp_path, 100_000)


ARM = [
    *config_commands(0x10, 4, BAR),
    *config_commands(0x04, 2, 2),
    *(
        command
        for register in (0, 4)
        for access in ((0x0C, 2, 0x80), (0x0C, 2, 0x86), (register, 4, 300))
        for command in memory_commands(BAR + access[0], access[1], access[2])
    ),
    *config_commands(0x68, 1, 2),
]
WHOLE_SECONDS = 2 * 300 * (30 << 15) / 1e9


@pytest.mark.live
def test_the_deadline_is_met_in_real_time_too(tmp_path: Path) -> None:
    """Without instruction counting: armed while the clock stands, it fires that much later."""
    with qemu_cards(tmp_path, icount=False) as qemu:
        qemu.ask(ARM)
        assert qemu.card().deadline_ns == 300 * (30 << 15)
        begin = time.monotonic()
        qemu.run()
        passed_seconds = time.monotonic() - begin
        card = qemu.card()
        assert (card.enabled, card.previous_reboot, card.timer1) == (0, 1, 0xFFFFF)
        assert card.now_ns >= WHOLE_SECONDS * 1e9
    assert WHOLE_SECONDS <= passed_seconds < WHOLE_SECONDS + 10  # others use this machine too


@pytest.mark.live
def test_the_action_reset_leaves_both_cards_alike(tmp_path: Path) -> None:
    """The machine's own reset comes after the card's: the BAR is gone, the flag is not."""
    with qemu_cards(tmp_path) as qemu:
        comparison = Comparison(qemu)
        comparison.perform([Config(0x10, 4, BAR), Config(0x04, 2, 2), Config(0x68, 1, 3)])
        qemu.execute("watchdog-set-action", action="reset")
        qemu.execute("cont")
        qemu.wait_for("RESET")
        qemu.execute("stop")
        now_ns = qemu.card().now_ns
        comparison.machine.advance_to(now_ns, until_expiry=True)
        assert len(comparison.machine.expiries) == 1
        comparison.machine.now_ns = now_ns  # the processor ran a few instructions more
        comparison.model.reset(ResetKind.WATCHDOG)
        comparison.perform([Config(0x10, 4), Config(0x10, 4, BAR), Config(0x04, 2, 2)])
        comparison.perform([Memory(0x0C, 2), Config(0x68, 1)])
        assert comparison.model.timer.previous_reboot
