"""QEMU's own cards, driven without any guest over the qtest and QMP protocols.

The processor is halted by a ROM of four bytes and time is counted in its instructions (``-icount``
with ``sleep=off``): the virtual clock stands still while registers are written, and jumps from one
deadline to the next while the machine runs.  So firings come exactly, and at once.  qtest's own
``clock_step`` would do the same, but needs the accelerator ``qtest``, which Debian does not build.
"""

import contextlib
import dataclasses
import json
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from domwarden.testing.require import program

BINARY = "qemu-system-x86_64"
ADDRESS = 5 << 11 | 1 << 31
HPET = 0xFED0_0000
ANSWER_SECONDS = 30.0
LETTER = {1: "b", 2: "w", 4: "l"}


@dataclasses.dataclass(frozen=True)
class Card:
    """What QEMU's i6300esb holds, and the virtual clock in ns, from its device state."""

    config: bytes
    reboot_enabled: int
    clock_scale: int
    interrupt_type: int
    free_run: int
    locked: int
    enabled: int
    deadline_ns: int
    timer1: int
    timer2: int
    stage: int
    unlock: int
    previous_reboot: int
    now_ns: int
    ib700_deadline_ns: int = dataclasses.field(compare=False)

    @classmethod
    def parse(cls, data: bytes, *, icount: bool = True) -> "Card":
        at = data.index(b"i6300esb_wdt") + 12 + 8 + 4
        fields = struct.unpack_from(">6iqII3i", data, at + 256 + 16)
        if icount:
            bias, instructions = struct.unpack_from(">qq", data, data.index(b"timer/icount") + 16)
            now_ns = bias + instructions
        else:
            (now_ns,) = struct.unpack_from(">q", data, data.index(b"\x05timer\0") + 14 + 16)
        (ib700,) = struct.unpack_from(">q", data, data.index(b"ib700_wdt") + 9 + 8)
        return cls(data[at : at + 256], *fields, now_ns, ib700)


class QemuCards:
    """One QEMU process with an i6300esb in PCI slot 5 and an ib700; stopped until :meth:`run`."""

    def __init__(self, directory: Path, *, icount: bool = True) -> None:
        self._state = directory / "state"
        self._icount = icount
        self.events: list[dict[str, Any]] = []
        rom = directory / "halt.rom"
        image = bytearray(b"\xf4" * 0x10000)
        image[0xFFF0:0xFFF4] = b"\xfa\xf4\xeb\xfd"  # cli; hlt; back to hlt
        rom.write_bytes(image)
        self._qtest, qtest = socket.socketpair()
        self._qmp, qmp = socket.socketpair()
        with qtest, qmp:
            self._process = subprocess.Popen(
                [
                    BINARY, "-accel", "tcg", "-S", "-nodefaults", "-no-user-config",
                    "-display", "none", "-m", "16", "-bios", str(rom),
                    "-machine", "pc,hpet=on,pit=off",
                    *(["-icount", "shift=0,sleep=off"] if icount else []),
                    "-action", "watchdog=pause",
                    "-device", "i6300esb,addr=05.0", "-device", "ib700",
                    "-chardev", f"socket,id=qtest,fd={qtest.fileno()}",
                    "-qtest", "chardev:qtest", "-qtest-log", "/dev/null",
                    "-chardev", f"socket,id=qmp,fd={qmp.fileno()}", "-mon", "qmp,mode=control",
                ],
                pass_fds=(qtest.fileno(), qmp.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        self._qtest.settimeout(ANSWER_SECONDS)
        self._qmp.settimeout(ANSWER_SECONDS)
        self._answers = self._qtest.makefile("r")
        self._messages = self._qmp.makefile("r")
        self._message()
        self.execute("qmp_capabilities")

    def close(self) -> None:
        self._process.kill()
        self._process.wait(ANSWER_SECONDS)
        for closable in (self._answers, self._messages, self._qtest, self._qmp):
            closable.close()

    # The qtest protocol

    def ask(self, commands: Sequence[str]) -> list[int]:
        """Send commands at once; return the values of those that read."""
        self._qtest.sendall("".join(f"{command}\n" for command in commands).encode())
        values = []
        for command in commands:
            answer = self._answers.readline().split()
            assert answer[:1] == ["OK"], f"{command}: {answer}"
            values += [int(word, 0) for word in answer[1:2]]
        return values

    # QMP

    def execute(self, command: str, **arguments: Any) -> Any:
        self._qmp.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            message = self._message()
            if "event" in message:
                self.events.append(message)
            else:
                assert "return" in message, f"{command}: {message}"
                return message["return"]

    def wait_for(self, event: str) -> None:
        """Return once the event has come; those before it are dropped."""
        limit = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < limit:
            if not self.events:
                self.events.append(self._message())
            if self.events.pop(0).get("event") == event:
                return
        raise TimeoutError(event)

    def _message(self) -> dict[str, Any]:
        line = self._messages.readline()
        assert line, "QEMU is gone"
        return dict(json.loads(line))

    # What a test does with it

    def reset(self) -> None:
        """Reset the machine, and let its processor come to its halt: two instructions, 2 ns."""
        self.events.clear()
        self.execute("system_reset")
        self.wait_for("RESET")
        self.run_at_most(2)

    def run(self) -> None:
        """Let the machine run until a card stops it."""
        self.events.clear()
        self.execute("cont")
        self.wait_for("STOP")

    def run_at_most(self, seconds: int) -> None:
        """Let the machine run until the i6300esb, or the ib700 as an alarm clock, stops it.

        The clock goes on to the next deadline after an alarm; the HPET's comparator, a millisecond
        after it, sees that this is not the card's.
        """
        assert seconds % 2 == 0
        self.ask(["writeq 0xfed00010 1", "writeq 0xfed00100 4"])
        (count,) = self.ask(["readq 0xfed000f0"])
        self.ask(
            [
                f"writeq 0xfed00108 {count + (seconds * 10**9 + 10**6) // 10:#x}",
                f"outb 0x443 {(30 - seconds) // 2}",
            ]
        )
        self.run()
        self.ask(["outb 0x441 0", "writeq 0xfed00100 0"])

    def run_at_most_counts(self, counts: int) -> None:
        """Let the machine run until the ib700, or the i6300esb as an alarm clock, stops it."""
        bar, unlock = 0xE000_0000, ["writew 0xe000000c 0x80", "writew 0xe000000c 0x86"]
        self.ask(
            [
                *config_commands(0x10, 4, bar),
                *config_commands(0x04, 2, 2),
                *unlock, f"writel {bar:#x} {counts:#x}",
                *unlock, f"writel {bar + 4:#x} 0",
                *config_commands(0x68, 1, 2),
            ]
        )  # fmt: skip
        self.run()
        self.ask(config_commands(0x68, 1, 0))

    def card(self) -> Card:
        """Return the i6300esb's own state."""
        return Card.parse(self.device_state(), icount=self._icount)

    def device_state(self) -> bytes:
        self.execute("xen-save-devices-state", filename=str(self._state), live=True)
        return self._state.read_bytes()


def config_commands(offset: int, size: int, value: int | None = None) -> list[str]:
    """Return the port accesses for one access to the i6300esb's configuration space."""
    port = 0xCFC + (offset & 3)
    access = (
        f"in{LETTER[size]} {port:#x}"
        if value is None
        else f"out{LETTER[size]} {port:#x} {value:#x}"
    )
    return [f"outl 0xcf8 {ADDRESS | offset & 0xFC:#x}", access]


def memory_commands(address: int, size: int, value: int | None = None) -> list[str]:
    """Return the command for one memory access."""
    if value is None:
        return [f"read{LETTER[size]} {address:#x}"]
    return [f"write{LETTER[size]} {address:#x} {value:#x}"]


@contextlib.contextmanager
def qemu_cards(directory: Path, *, icount: bool = True) -> Iterator[QemuCards]:
    """Run QEMU for a test, which is skipped (or fails) where there is none."""
    program("qemu", BINARY)
    cards = QemuCards(directory, icount=icount)
    try:
        yield cards
    finally:
        cards.close()
