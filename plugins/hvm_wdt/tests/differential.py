"""The same operations on a model and on QEMU's own card, compared."""

import dataclasses

from hypothesis import strategies as st

from domwarden.contract import ResetKind
from domwarden_hvm_wdt.i6300esb_card import I6300esbCard

from .machine import ManualMachine
from .qemu_cards import Card, QemuCards, config_commands, memory_commands

BAR = 0xE000_0000
#: Where neither RAM nor another device of the machine is.
HOLE = range(0x1000_0000, 0xFEB0_0000)
MILLISECOND_NS = 1_000_000

SIZES = st.sampled_from([1, 2, 4])
VALUES = st.one_of(
    st.sampled_from([0, 1, 2, 3, 4, 6, 7, 0x20, 0x24, 0x80, 0x86, 0x100, 0x200, 0x1000, 0x1300]),
    st.integers(0, 2**32 - 1),
)
SHORT = st.integers(0, 3000)
PRELOADS = st.one_of(SHORT, st.integers(0, 0xFFFFF))


@dataclasses.dataclass(frozen=True)
class Config:
    """One access to the configuration space; a read without ``value``."""

    offset: int
    size: int
    value: int | None = None


@dataclasses.dataclass(frozen=True)
class Memory:
    """One access behind the BAR."""

    offset: int
    size: int
    value: int | None = None


@dataclasses.dataclass(frozen=True)
class Run:
    """Let that much virtual time pass, or less if the card fires."""

    seconds: int


@dataclasses.dataclass(frozen=True)
class Reset:
    """The machine's reset."""


def within(register_bytes: int, offset: int, size: int) -> bool:
    return offset % register_bytes + size <= register_bytes


def masked(size: int, value: int | None) -> int | None:
    return None if value is None else value & (1 << 8 * size) - 1


def accesses(kind: type, offsets: st.SearchStrategy[int], unit: int) -> st.SearchStrategy[object]:
    """One access that stays within ``unit`` bytes, where the bus hands it to one device."""
    return (
        st.tuples(offsets, SIZES, st.none() | VALUES)
        .filter(lambda t: within(unit, t[0], t[1]))
        .map(lambda t: (kind(t[0], t[1], masked(t[1], t[2])),))
    )


RELOAD_READS = tuple(Memory(0x0C, size) for size in (1, 2, 4))
UNLOCK = (Memory(0x0C, 2, 0x80), Memory(0x0C, 2, 0x86))

PLACE = (Config(0x10, 4, BAR), Config(0x04, 2, 2))


def guarded(
    config: int, lock: int, preloads: tuple[int, int], runs: list[int]
) -> tuple[object, ...]:
    """A guest's life: arm the card, kick it now and then, see after each run whether it fired."""
    life: list[object] = [*PLACE, Config(0x60, 2, config), Config(0x68, 1, 0)]
    for register, preload in zip((0, 4), preloads, strict=True):
        life += [*UNLOCK, Memory(register, 4, preload)]
    life.append(Config(0x68, 1, lock))
    for seconds in runs:
        life += [Run(2 * seconds), *RELOAD_READS, *UNLOCK, Memory(0x0C, 2, 0x100)]
    return tuple(life)


OPERATIONS = st.one_of(
    accesses(Config, st.integers(0, 0xFF), 4),
    accesses(Config, st.sampled_from([0x04, 0x10, 0x60, 0x61, 0x62, 0x68, 0x69]), 4),
    st.sampled_from([0, 1, 2, 4, 5, 0x10, 0x20, 0x24, 0xFFFF]).map(lambda v: (Config(0x60, 2, v),)),
    st.sampled_from([0, 2, 2, 2, 3, 4, 6, 6, 7]).map(lambda v: (Config(0x68, 1, v),)),
    st.sampled_from([BAR, BAR + 0x100, 0, 0xFFFF_FFFF]).map(lambda v: (Config(0x10, 4, v),)),
    accesses(Memory, st.integers(0, 0x0F), 16),
    st.tuples(st.sampled_from([0, 4]), PRELOADS).map(
        lambda t: (*UNLOCK, Memory(t[0], 4, t[1]), Config(0x68, 1))
    ),
    st.sampled_from([0x100, 0x200, 0x1000, 0x1300]).map(
        lambda v: (*UNLOCK, Memory(0x0C, 2, v), Memory(0x0C, 2))
    ),
    st.tuples(
        st.lists(st.tuples(SIZES, st.sampled_from([0x80, 0x86, 0x86, 0])), min_size=1, max_size=3),
        st.sampled_from([0, 4]),
        PRELOADS,
    ).map(lambda t: (*(Memory(0x0C, size, v) for size, v in t[0]), Memory(t[1], 4, t[2]))),
    st.integers(1, 15).map(lambda n: (Run(2 * n), *RELOAD_READS)),
    st.builds(
        guarded,
        st.sampled_from([0, 0, 0, 4, 0x20]),
        st.sampled_from([2, 2, 2, 3, 6, 7]),
        st.tuples(SHORT, SHORT),
        st.lists(st.integers(1, 4), min_size=1, max_size=3),
    ),
    st.just((Reset(),)),
)

SEQUENCES = st.lists(OPERATIONS, min_size=10, max_size=30).map(
    lambda groups: [*PLACE, *(operation for group in groups for operation in group)]
)


class Comparison:
    """Both cards, side by side, from QEMU's reset on."""

    def __init__(self, qemu: QemuCards) -> None:
        self.qemu = qemu
        qemu.reset()
        card = qemu.card()
        self.machine = ManualMachine(card.now_ns)
        self.model = I6300esbCard(self.machine)
        # What no reset clears goes on from the sequence before.
        self.model.timer.previous_reboot = bool(card.previous_reboot)
        self.model.config.bytes[0x40:] = card.config[0x40:]
        self._commands: list[str] = []
        self._expected: list[tuple[object, int]] = []
        self.fired = 0
        self.compare()

    def perform(self, sequence: list[object]) -> None:
        """Do everything to both; raises AssertionError where they differ."""
        for operation in sequence:
            match operation:
                case Config():
                    self._access(operation, self.model.config, config_commands)
                case Memory():
                    self._memory(operation)
                case Run():
                    self._flush()
                    self._run(operation.seconds)
                case Reset():
                    self._flush()
                    self._reset()
        self._flush()
        self.compare()

    def compare(self) -> Card:
        """Compare everything that the two cards hold, with the deadline to the nanosecond."""
        card = self.qemu.card()
        state, timer = self.model.timer.state, self.model.timer
        assert card == Card(
            config=bytes(self.model.config.bytes),
            reboot_enabled=state.reboot_enabled,
            clock_scale=state.fast_clock,
            interrupt_type=state.interrupt_type,
            free_run=state.free_run,
            locked=state.locked,
            enabled=state.enabled,
            deadline_ns=-1 if timer.deadline_ns is None else timer.deadline_ns,
            timer1=state.timer1,
            timer2=state.timer2,
            stage=state.stage,
            unlock=state.unlock,
            previous_reboot=timer.previous_reboot,
            now_ns=self.machine.now_ns,
            ib700_deadline_ns=-1,
        )
        return card

    def _access(self, operation, device, commands) -> None:  # type: ignore[no-untyped-def] # helper
        offset, size, value = operation.offset, operation.size, operation.value
        if value is None:
            self._expected.append((operation, device.read(offset, size)))
        else:
            device.write(offset, size, value)
        self._commands += commands(offset, size, value)

    def _memory(self, operation: Memory) -> None:
        address = self.model.config.bar_address
        if address is None:  # not decoded: QEMU's bus reads 0 there
            self._commands += memory_commands(BAR + operation.offset, operation.size)
            self._expected.append((operation, 0))
        elif address in HOLE:
            self._access(
                operation,
                self.model.memory,
                lambda offset, size, value: memory_commands(address + offset, size, value),
            )

    def _flush(self) -> None:
        values = self.qemu.ask(self._commands)
        assert list(zip([op for op, _ in self._expected], values, strict=True)) == self._expected
        self._commands, self._expected = [], []

    def _run(self, seconds: int) -> None:
        if self._spins():
            return
        start_ns, before = self.machine.now_ns, len(self.machine.expiries)
        alarm_ns = start_ns + seconds * 10**9
        self.machine.advance_to(alarm_ns, until_expiry=True)
        if len(self.machine.expiries) > before:
            self.qemu.run()
            self.fired += 1
            self.compare()  # at the same nanosecond
        else:
            self.qemu.run_at_most(seconds)
            # The clock may have gone on to the next deadline, which has then not been served.
            now_ns = self.qemu.card().now_ns
            deadline = self.model.timer.deadline_ns or alarm_ns + MILLISECOND_NS
            assert alarm_ns <= now_ns <= min(deadline, alarm_ns + MILLISECOND_NS)
            self.machine.now_ns = now_ns
            self.compare()

    def _spins(self) -> bool:
        """Free-running in rounds so short that QEMU (at 0) or the test would take for ever."""
        timer = self.model.timer
        round_ns = timer.stage_ns(1) + timer.stage_ns(2)
        return timer.state.free_run and not timer.state.reboot_enabled and round_ns < MILLISECOND_NS

    def _reset(self) -> None:
        self.model.reset(ResetKind.OPERATOR)
        self.qemu.reset()
        self.machine.now_ns = self.qemu.card().now_ns
        self.compare()
