"""The test guest really boots, answers, hangs, and is brought back by the hypervisor."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from qemu.qmp import EventListener, QMPClient

from domwarden.testing.console import Console, GuestError
from domwarden.testing.require import absent, program

from .build import Guest, build
from .packages import BuildError

pytestmark = pytest.mark.live

QEMU = "qemu-system-x86_64"
BOOT_SECONDS = 60.0
WATCHDOG_SECONDS = 3
#: WDIOF_CARDRESET of linux/watchdog.h: the last reset was the watchdog's
CARD_RESET = "32"


@pytest.fixture(scope="module")
def guest() -> Guest:
    program("qemu", QEMU)
    try:
        return build()
    except BuildError as error:
        absent("qemu", str(error))


@dataclass
class Machine:
    console: Console
    qmp: QMPClient

    async def command(self, name: str, **arguments: object) -> None:
        async with asyncio.timeout(10):
            await self.qmp.execute(name, arguments)


@asynccontextmanager
async def booted(guest: Guest, *more: str) -> AsyncIterator[Machine]:
    """Boots the guest under TCG with an i6300esb card; QEMU is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="guest-") as name:
        place = Path(name)
        process = await asyncio.create_subprocess_exec(
            *(QEMU, "-accel", "tcg", "-m", "256", "-nodefaults", "-display", "none"),
            *("-kernel", str(guest.kernel), "-append", guest.cmdline),
            *("-serial", f"unix:{place}/serial,server=on,wait=off"),
            *("-qmp", f"unix:{place}/qmp,server=on,wait=off"),
            *("-device", "i6300esb", *more),
        )
        try:
            async with AsyncExitStack() as stack:
                console = await Console.connect(place / "serial")
                stack.push_async_callback(console.close)
                qmp = QMPClient("guest")
                async with asyncio.timeout(10):
                    await qmp.connect(f"{place}/qmp")
                stack.push_async_callback(qmp.disconnect)
                await console.wait_ready(timeout_seconds=BOOT_SECONDS)
                yield Machine(console, qmp)
        finally:
            if process.returncode is None:
                process.kill()
            async with asyncio.timeout(10):
                await process.wait()


@pytest.mark.time_limit(180)
async def test_each_way_to_hang_is_answered_by_the_hypervisor(guest: Guest) -> None:
    """A looping, a panicked and a corrupted kernel are dead, and the card resets each of them."""
    events = EventListener(names={"WATCHDOG", "RESET"})
    async with booted(guest, "-action", "watchdog=reset") as machine:
        console = machine.console
        assert await console.command("bootstatus") == "0"
        with machine.qmp.listen(events):
            for way in ("irqs-off", "panic", "corrupt"):
                started = await console.command(f"watchdog start {WATCHDOG_SECONDS}")
                assert started.startswith(f"timeout {WATCHDOG_SECONDS} ")
                events.clear()  # after a reset the firmware may reset once more, by itself
                assert await console.command(f"hang {way}") == "hanging"
                hung = time.monotonic()
                assert not await console.alive(timeout_seconds=1), f"{way}: still alive"
                assert events.empty(), f"{way}: somebody acted before the watchdog"
                async with asyncio.timeout(WATCHDOG_SECONDS * 3):
                    fired, reset = await events.get(), await events.get()
                assert (fired["event"], reset["event"]) == ("WATCHDOG", "RESET")
                assert fired["data"] == {"action": "reset"}
                assert time.monotonic() - hung < WATCHDOG_SECONDS + 20
                await console.wait_ready(timeout_seconds=BOOT_SECONDS)
                assert await console.command("bootstatus") == CARD_RESET


@pytest.mark.time_limit(120)
async def test_watchdog_stop_disarms_and_kill_does_not(guest: Guest) -> None:
    """After the magic close nothing fires; after kill -9 of the kicker the card does."""
    events = EventListener(names={"WATCHDOG"})
    async with booted(guest, "-action", "watchdog=none") as machine:
        with machine.qmp.listen(events):
            await machine.console.command("watchdog start 2")
            assert await machine.console.command("watchdog stop") == "disarmed"
            await asyncio.sleep(4)
            assert events.empty()
            await machine.console.command("watchdog start 2")
            assert await machine.console.command("watchdog kill") == "killed"
            async with asyncio.timeout(30):
                assert (await events.get())["event"] == "WATCHDOG"


@pytest.mark.time_limit(120)
async def test_commands_for_disk_network_memory_and_count(guest: Guest, tmp_path: Path) -> None:
    """What the guest is told to write is on the host's disk image; its network card answers."""
    image = tmp_path / "disk"
    image.write_bytes(bytes(1 << 20))
    async with booted(
        guest,
        *("-drive", f"if=virtio,format=raw,file={image}", "-netdev", "user,id=n"),
        *("-device", "virtio-net-pci,netdev=n,mac=52:54:00:00:00:07,romfile="),
    ) as machine:
        console = machine.console
        assert await console.command("write vda 5000 hello, \\ disk") == "wrote 13"
        assert image.read_bytes()[5000:5013] == b"hello, \\ disk"
        assert await console.command("read vda 4999 15") == "\\x00hello, \\x5c disk\\x00"
        assert await console.command("mac") == "eth0=52:54:00:00:00:07"
        assert "10.0.2.15" in await console.command("net up")
        assert "min/avg/max" in await console.command("net ping 10.0.2.2")
        assert await console.command("dirty 32 50") == "dirtying"
        assert await console.command("dirty stop") == "stopped"
        assert await console.command("count start vda") == "counting"
        await console.wait_count(20)
        last = await console.command("count stop")
        assert [count.number for count in console.counts] == list(range(1, int(last) + 1))
        assert image.read_bytes().startswith(f"count {last}\n".encode())
        assert 0 < console.longest_gap_seconds() < 30
        with pytest.raises(GuestError, match="unknown command"):
            await console.command("no such thing")


@pytest.mark.time_limit(120)
async def test_tpm_extend_changes_the_pcr_by_the_digest_of_the_text(
    guest: Guest, tmp_path: Path
) -> None:
    """PCR 16 becomes SHA-256 of its old value and the text's digest."""
    program("swtpm", "swtpm")
    socket = tmp_path / "s"
    swtpm = await asyncio.create_subprocess_exec(
        *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={tmp_path}"),
        *("--ctrl", f"type=unixio,path={socket}"),
    )
    try:
        async with asyncio.timeout(10):
            while not socket.exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.02)
        async with booted(
            guest,
            *("-chardev", f"socket,id=t,path={socket}", "-tpmdev", "emulator,id=t,chardev=t"),
            *("-device", "tpm-tis,tpmdev=t"),
        ) as machine:
            before = bytes.fromhex(await machine.console.command("tpm pcr 16"))
            await machine.console.command("tpm extend 16 some text")
            after = bytes.fromhex(await machine.console.command("tpm pcr 16"))
        assert after == hashlib.sha256(before + hashlib.sha256(b"some text").digest()).digest()
    finally:
        if swtpm.returncode is None:
            swtpm.kill()
        async with asyncio.timeout(10):
            await swtpm.wait()


async def test_unplugged_pci_card_leaves_the_guest(guest: Guest) -> None:
    """The guest lets go of a card within seconds, as a move that unplugs first needs."""
    events = EventListener(names={"DEVICE_DELETED"})
    card = ("-device", "virtio-rng-pci,id=card")
    async with booted(guest, *card) as machine:
        assert "0x1af4:0x1005" in await machine.console.command("pci")
        with machine.qmp.listen(events):
            await machine.command("device_del", id="card")
            async with asyncio.timeout(10):
                while "'device': 'card'" not in str((await events.get())["data"]):
                    pass
        assert "0x1af4:0x1005" not in await machine.console.command("pci")


def test_a_second_build_makes_nothing(guest: Guest) -> None:
    """Nothing is fetched or compiled again while the sources are unchanged."""
    before = [os.stat(path).st_mtime_ns for path in (guest.kernel, guest.initrd)]
    assert build() == guest
    assert [os.stat(path).st_mtime_ns for path in (guest.kernel, guest.initrd)] == before
    assert os.stat(guest.initrd).st_size < 12_000_000
