"""Domains on real Xen: guests with a raw tool, and dom0 with the client."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from domwarden.testing.console import Console, GuestError

from ..testbeds.xen import guests
from ..testbeds.xen.host import Host
from .scenarios import EXPIRED, RUNS, RawSubject, Subject

#: The guest as it is before its first call: with its kernel told to let calls pass.
_READY = "/var/test/parity.save"
_WATCHDOG_CODE = "4"
#: There is memory for no more, and all share one emulated processor.
_AT_ONCE = 4


class Guests:
    """Makes guests on one host, each from the same saved one."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._count = 0

    async def prepare(self) -> None:
        """Boot a guest and save it for all."""
        async with booted(self._host) as guest:
            await guest.save(_READY)

    @asynccontextmanager
    async def guest(self) -> AsyncIterator[Guest]:
        """Enter with a guest whose timers are free."""
        async with self._places:
            self._count += 1
            guest = Guest(self._host, f"parity{self._count}")
            await guest.restore(_READY)
            try:
                yield guest
            finally:
                await guest.close()


@asynccontextmanager
async def booted(host: Host) -> AsyncIterator[Guest]:
    """Boot a guest, load the way to the hypercall, and enter with it."""
    guest = Guest(host, "parity")
    await guests.create(host, "parity", _config("parity"))
    try:
        async with guests.console(host, "parity") as console:
            await console.command("load xen_privcmd unrestricted=1")
        yield guest
    finally:
        await guest.close()


class Guest(Subject):
    """A PVH guest; ``on_watchdog`` is preserve, so that its end can be looked at."""

    def __init__(self, host: Host, name: str) -> None:
        self._host = host
        self._name = name
        self._stack = AsyncExitStack()
        self._console: Console | None = None

    async def call(self, timer: int, seconds: int) -> int | None:
        if await self.state() == EXPIRED:
            return None
        if self._console is None:
            console = guests.console(self._host, self._name)
            self._console = await self._stack.enter_async_context(console)
        if (timer, seconds) == (0, 0):
            # no answer comes back from that
            with contextlib.suppress(TimeoutError, ConnectionError):
                await self._console.command("xen watchdog 0 0", timeout_seconds=2.0)
            return None
        try:
            return int(await self._console.command(f"xen watchdog {timer} {seconds}"))
        except GuestError as error:
            return -int(getattr(errno, str(error).rpartition(" ")[2]))

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def state(self) -> str:
        """Look at the last column of ``xl list -v``'s states, and the code with which it ended."""
        line = (await self._host.output("xl", "list", "-v", self._name)).splitlines()[1].split()
        if "s" not in line[4]:
            return RUNS
        assert line[-2] == _WATCHDOG_CODE or _WATCHDOG_CODE in line[6:], line
        assert "w" in line[4], line
        return EXPIRED

    async def pause(self) -> None:
        await self._host.output("xl", "pause", self._name)

    async def save_and_restore(self) -> None:
        path = f"/var/test/{self._name}.save"
        await self.save(path)
        await self.restore(path)
        await self._host.run(["rm", "-f", path])

    async def checkpoint(self) -> None:
        path = f"/var/test/{self._name}.save"
        await self._host.output("xl", "save", "-c", self._name, path, timeout_seconds=120)
        await self._host.run(["rm", "-f", path])

    async def save(self, path: str) -> None:
        """Save it, and end it."""
        await self._leave()
        await self._host.output("xl", "save", self._name, path, timeout_seconds=120)

    async def release(self) -> None:
        """Free both timers."""
        for timer in (1, 2):
            await self.call(timer, 0)

    async def restore(self, path: str) -> None:
        """Come to life from a save, under this name."""
        file = f"/var/test/{self._name}.cfg"
        await self._host.put(file, _config(self._name))
        await self._host.output("xl", "restore", file, path, timeout_seconds=120)

    async def close(self) -> None:
        await self._leave()
        await self._host.run(["xl", "destroy", self._name])

    async def _leave(self) -> None:
        await self._stack.aclose()
        self._console = None


def _config(name: str) -> bytes:
    return guests.config(name, on_watchdog="preserve")


#: Runs in dom0: each line of input is an id, seconds, a command and whether to point to nothing.
_SCRIPT = """
import fcntl, json, os, sys
from domwarden_xen_wdt.hypercall import IOCTL_PRIVCMD_HYPERCALL, PRIVCMD, PRIVCMD_HYPERCALL
from domwarden_xen_wdt.page import Page
page, device = Page(), os.open(PRIVCMD, os.O_RDWR)
for line in sys.stdin:
    timer, seconds, command, nowhere = json.loads(line)
    address = page.write(timer.to_bytes(4, "little") + seconds.to_bytes(4, "little"))
    call = PRIVCMD_HYPERCALL.pack(29, command, 8 if nowhere else address, 0, 0, 0)
    try:
        print(fcntl.ioctl(device, IOCTL_PRIVCMD_HYPERCALL, bytearray(call), True))
    except OSError as error:
        print(-error.errno)
"""


@asynccontextmanager
async def dom0(host: Host) -> AsyncIterator[Dom0]:
    """Enter with dom0 and one process in it that makes all calls; free its timers afterwards."""
    async with host.channel.stream(command=["python3", "-u", "-c", _SCRIPT]) as (reader, writer):
        made = Dom0(reader, writer)
        try:
            yield made
        finally:
            await made.release()


class Dom0(RawSubject):
    """Dom0 itself: its timers reset the machine, so they are only armed for long."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def call(self, timer: int, seconds: int) -> int | None:
        assert seconds == 0 or seconds >= 600, "dom0 would be reset"
        return await self._make(timer, seconds, 6)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def state(self) -> str:
        return RUNS

    async def pause(self) -> None:
        raise AssertionError("dom0 cannot be paused")

    async def save_and_restore(self) -> None:
        raise AssertionError("dom0 cannot be saved")

    async def checkpoint(self) -> None:
        raise AssertionError("dom0 cannot be saved")

    async def other_command(self, command: int) -> int:
        return await self._make(0, 600, command)

    async def bad_pointer(self) -> int:
        return await self._make(0, 600, 6, nowhere=True)

    async def release(self) -> None:
        """Free both timers."""
        for timer in (1, 2):
            await self._make(timer, 0, 6)

    async def _make(self, timer: int, seconds: int, command: int, *, nowhere: bool = False) -> int:
        self._writer.write(json.dumps([timer, seconds, command, nowhere]).encode() + b"\n")
        async with asyncio.timeout(60):
            return int(await self._reader.readline())
