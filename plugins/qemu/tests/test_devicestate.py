"""Reading a card's timer in files that a real QEMU 7.2 wrote."""

import asyncio
import json
import socket
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden.contract import Armed, Host, Reading
from domwarden.testing.require import program
from domwarden_qemu.devicestate import i6300esb, read_watchdog, virtual_clock_ns
from domwarden_qemu.files import Files
from domwarden_qemu.monitor import Monitor
from domwarden_qemu.sampling import Samples, read

STATES = Path(__file__).parent / "device_states"
NAMES = sorted(path.name for path in STATES.glob("*.bin"))
UNKNOWN = Reading()


def state(name: str) -> bytes:
    return (STATES / f"{name}.bin").read_bytes()


def test_the_first_stage_is_followed_by_the_second() -> None:
    """Linux's heartbeat of 1 s, 0.2 s after the kick."""
    reading = read_watchdog(state("i6300esb-stage1"))
    assert reading.armed is Armed.ARMED
    assert reading.timeout_seconds == pytest.approx(1.00663296)
    assert reading.time_left_seconds == pytest.approx(0.8058, abs=1e-3)
    assert reading.last_kick_seconds_ago == pytest.approx(0.2008, abs=1e-3)


def test_in_the_second_stage_less_is_left() -> None:
    """0.8 s after the kick."""
    reading = read_watchdog(state("i6300esb-stage2"))
    assert reading.time_left_seconds == pytest.approx(0.2052, abs=1e-3)
    assert reading.last_kick_seconds_ago == pytest.approx(0.8015, abs=1e-3)


def test_a_card_that_nobody_started_is_disarmed() -> None:
    """As firmware leaves it."""
    assert read_watchdog(state("i6300esb-disarmed")) == Reading(armed=Armed.DISARMED)
    card = i6300esb(state("i6300esb-disarmed"))
    assert card is not None
    assert (card.enabled, card.timer1, card.stage) == (False, 0xFFFFF, 1)


def test_a_card_with_its_reboot_disabled_guards_nothing() -> None:
    """The guest set bit 5 of the configuration register: it runs out and does nothing."""
    data = bytearray(state("i6300esb-stage1"))
    field = data.index(b"i6300esb_wdt") + 12 + 8 + 4 + 256 + 16
    assert data[field : field + 4] == b"\0\0\0\1"
    data[field + 3] = 0
    assert read_watchdog(bytes(data)) == Reading(armed=Armed.DISARMED)


def test_the_ib700_tells_what_is_left_and_not_what_was_asked() -> None:
    """It keeps one deadline only: 20 s were asked for half a second ago."""
    reading = read_watchdog(state("ib700-armed"))
    assert reading.armed is Armed.ARMED
    assert reading.time_left_seconds == pytest.approx(19.5, abs=0.01)
    assert reading.timeout_seconds is reading.last_kick_seconds_ago is None


@pytest.mark.parametrize("name", ["no-card", "both-cards"])
def test_without_exactly_one_card_nothing_is_known(name: str) -> None:
    """Unknown, never guessed."""
    assert read_watchdog(state(name)) == UNKNOWN


def test_a_guests_imitation_makes_it_unknown() -> None:
    """A second section with the card's name may be a guest's text in some device's buffer."""
    data = state("i6300esb-stage1")
    begin = data.index(b"\x190000:00:05.0/i6300esb_wdt") - 5
    section = data[begin : begin + 31 + 8 + 4 + 256 + 16 + 52 + 5]
    assert i6300esb(section) is not None
    assert read_watchdog(data + section) == UNKNOWN


@given(st.binary(max_size=2000))
def test_garbage_is_unknown(data: bytes) -> None:
    """With and without the file's first bytes."""
    assert read_watchdog(data) == UNKNOWN
    assert read_watchdog(b"QEVM\0\0\0\3" + data) == UNKNOWN
    assert virtual_clock_ns(data) is None


@given(st.sampled_from(NAMES), st.data())
def test_spoilt_files_never_raise(name: str, data: st.DataObject) -> None:
    """Cut, or with bytes changed: a reading with sane values, or unknown."""
    spoilt = bytearray((STATES / name).read_bytes())
    spots = [index for word in (b"_wdt", b"timer") if (index := spoilt.find(word)) >= 0]
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(st.sampled_from(spots)) + data.draw(st.integers(-30, 340))
        spoilt[at % len(spoilt)] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(spoilt)), st.integers(0, len(spoilt))))
    reading = read_watchdog(bytes(spoilt[:cut]))
    assert isinstance(reading, Reading)
    for value in (reading.time_left_seconds, reading.last_kick_seconds_ago):
        assert value is None or value >= 0


@pytest.mark.live
def test_the_installed_qemu_writes_what_is_read(tmp_path: Path) -> None:
    """An ib700 and its clock, armed over qtest, on the installed version."""
    binary = program("qemu", "qemu-system-x86_64")
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("r") as answers:
        ours.settimeout(30)
        process = subprocess.Popen(
            [binary, "-accel", "tcg", "-S", "-nodefaults", "-display", "none", "-device", "ib700",
             "-qtest", "stdio", "-qtest-log", "/dev/null",
             "-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "qmp,mode=control"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[theirs.fileno()],
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(b"outb 0x443 10\n")  # 10 s, while the clock stands still
            process.stdin.flush()
            assert process.stdout.readline() == b"OK\n"
            file = tmp_path / "state"
            for command, arguments in (
                ("qmp_capabilities", {}),
                ("xen-save-devices-state", {"filename": str(file), "live": False}),
            ):
                ours.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
                limit = time.monotonic() + 30
                while "return" not in json.loads(answers.readline()):
                    assert time.monotonic() < limit
            reading = read_watchdog(file.read_bytes())
        finally:
            process.kill()
            process.communicate(timeout=30)
    assert reading == Reading(armed=Armed.ARMED, time_left_seconds=10.0)


@pytest.mark.live
async def test_looking_at_a_paused_guest_again_and_again_leaves_it_alive(tmp_path: Path) -> None:
    """A look must not inactivate the disks: their locks would go, and the next look kill QEMU."""
    binary = program("qemu", "qemu-system-x86_64")
    files = Files(Host("a", tmp_path), "web1")
    files.create()
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))
    disk = {"driver": "file", "node-name": "disk", "filename": str(image)}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(files.control))
        listener.listen()
        process = await asyncio.create_subprocess_exec(
            binary, "-accel", "tcg", "-nodefaults", "-display", "none", "-device", "i6300esb",
            "-blockdev", json.dumps(disk), "-device", "virtio-blk-pci,drive=disk",
            "-chardev", f"socket,id=qmp,fd={listener.fileno()},server=on,wait=off",
            "-mon", "qmp,mode=control", pass_fds=[listener.fileno()],
        )  # fmt: skip
    try:
        monitor = Monitor(files.control, "web1")
        await monitor.execute("stop")
        for _ in range(2):
            reading = await read(files, monitor, Samples())
            assert reading.armed is Armed.DISARMED
        assert (await monitor.execute("query-status"))["status"] == "paused"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
