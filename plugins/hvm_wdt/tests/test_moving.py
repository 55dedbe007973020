"""A card that is saved anywhere and goes on elsewhere."""

from hypothesis import given, settings

from domwarden.contract import ResetKind
from domwarden_hvm_wdt.i6300esb_card import I6300esbCard

from .differential import SEQUENCES, Config, Memory, Reset, Run
from .machine import ManualMachine


def perform(machine: ManualMachine, card: I6300esbCard, operation: object) -> object:
    """Do one operation; return what the guest reads, or what the host sees happen."""
    match operation:
        case Config(offset, size, None):
            return card.config.read(offset, size)
        case Config(offset, size, value):
            card.config.write(offset, size, value)
        case Memory(offset, size, None):
            return card.memory.read(offset, size)
        case Memory(offset, size, value):
            card.memory.write(offset, size, value)
        case Run(seconds) if not spins(card):
            begin_ns, before = machine.now_ns, len(machine.expiries)
            machine.advance(seconds)
            return [when - begin_ns for when, _ in machine.expiries[before:]]
        case Reset():
            card.reset(ResetKind.OPERATOR)
    return None


def spins(card: I6300esbCard) -> bool:
    """Free-running in rounds so short that the test would take for ever."""
    state = card.timer.state
    round_ns = card.timer.stage_ns(1) + card.timer.stage_ns(2)
    return state.free_run and not state.reboot_enabled and round_ns < 10**6


@settings(max_examples=30)
@given(SEQUENCES)
def test_a_card_moved_after_every_operation_is_like_one_that_stayed(
    sequence: list[object],
) -> None:
    """Same reads, same firing, although each operation is done on a fresh machine."""
    stays = ManualMachine()
    still = I6300esbCard(stays)
    moves = ManualMachine(now_ns=12_345)
    moving = I6300esbCard(moves)
    for operation in sequence:
        assert perform(moves, moving, operation) == perform(stays, still, operation)
        saved = moving.save()
        assert saved == still.save()
        moves = ManualMachine(now_ns=moves.now_ns // 2 + 99)
        moving = I6300esbCard(moves)
        moving.load(saved)
        assert list(moves.mmio) == list(stays.mmio)
        assert moving.timer.reading() == still.timer.reading()
