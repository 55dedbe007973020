"""The i6300esb model against QEMU's own card, register by register."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from .differential import SEQUENCES, Comparison
from .qemu_cards import qemu_cards

#: Each sequence is at least 20 operations long.
OPERATIONS_EACH = 20


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
    assert fired >= operations // 1000  # the sequences do reach what matters


@pytest.mark.live
def test_the_model_is_qemus_card_over_thousands_of_operations(tmp_path: Path) -> None:
    """Same reads, same state, same firing at the same nanosecond."""
    compare(tmp_path, 4_000)


@pytest.mark.slow
@pytest.mark.live
def test_the_model_is_qemus_card_over_a_hundred_thousand_operations(tmp_path: Path) -> None:
    """The same, for longer."""
    compare(tmp_path, 100_000)
