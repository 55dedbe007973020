"""The test bed: two linked Xen hosts, booted together and ended together."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .build import Image, build
from .guests import destroy_all
from .host import Host
from .library import library


@dataclass
class Bed:
    """Hosts m1 (192.168.77.1) and m2 (192.168.77.2) under one folder."""

    folder: Path
    m1: Host
    m2: Host

    @classmethod
    def prepare(cls, image: Image | None = None) -> Self:
        """Return a bed that is not booted yet; raises BuildError where it cannot be built."""
        image = image or build()
        # A short path: a Unix socket's name has at most 107 bytes.
        folder = Path(tempfile.mkdtemp(prefix="xen-bed-"))
        places = {name: folder / name for name in ("m1", "m2")}
        return cls(
            folder,
            Host("m1", "192.168.77.1", image, places["m1"], places["m2"], folder / "shared"),
            Host("m2", "192.168.77.2", image, places["m2"], places["m1"], folder / "shared"),
        )

    @property
    def hosts(self) -> tuple[Host, Host]:
        """Both hosts."""
        return self.m1, self.m2

    async def boot(self) -> None:
        """Boot both hosts side by side; raises BootError, and leaves none running then."""
        try:
            for host in self.hosts:
                host.start()
            packed = await asyncio.to_thread(library)
            async with asyncio.TaskGroup() as group:
                for host in self.hosts:
                    group.create_task(_make_ready(host, packed), name=host.name)
        except BaseExceptionGroup as errors:
            self.kill()
            raise errors.exceptions[0] from None

    async def keep(self) -> None:
        """Keep both hosts as they are: one that dies is back in a few seconds."""
        await asyncio.gather(*(host.keep() for host in self.hosts))

    async def refresh(self) -> None:
        """Bring the present sources of domwarden into both hosts."""
        packed = await asyncio.to_thread(library)
        await asyncio.gather(*(host.install(packed) for host in self.hosts))

    async def cut(self) -> None:
        """Cut the link between the hosts: silence, no reset."""
        await asyncio.gather(*(host.set_link(up=False) for host in self.hosts))

    async def restore(self) -> None:
        """Join the hosts again."""
        await asyncio.gather(*(host.set_link(up=True) for host in self.hosts))

    async def tidy(self) -> None:
        """Bring both hosts back to how they were booted: alive, linked, without guests."""
        await asyncio.gather(*(tidied(host) for host in self.hosts))
        await self.restore()

    def kill(self) -> None:
        """End both QEMU processes; the logs stay until `remove`."""
        for host in self.hosts:
            host.kill()

    def remove(self) -> None:
        """End both hosts and remove all that they left here."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


async def tidied(host: Host) -> None:
    """Bring one host back to how it was booted: alive, without guests."""
    if host.alive():
        host.thaw()
        await destroy_all(host)
    else:
        await host.reboot()


async def _make_ready(host: Host, packed: bytes) -> None:
    await host.ready()
    await host.install(packed)


@asynccontextmanager
async def booted() -> AsyncIterator[Bed]:
    """Enter a booted bed, for a script; tests use the fixture `bed`."""
    bed = Bed.prepare()
    try:
        await bed.boot()
        yield bed
    finally:
        bed.remove()
