"""Guests for the plain toolstack, as data, and the way to their consoles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from domwarden.testing.console import Console

from .build import GUEST_INITRD, GUEST_KERNEL, GUEST_VMLINUZ
from .host import Host

BRIDGE = "xenbr0"
GUEST_MIB = 128
#: There is no PCI in a PVH guest, but without pci=off the kernel looks for seconds; and a tenth of
#: its start it would fill memory with zeros.
CMDLINE = (
    "console=hvc0 quiet pci=off mitigations=off init_on_alloc=0 cryptomgr.notests"
    " random.trust_cpu=on"
)
HVM_CMDLINE = CMDLINE.replace("console=hvc0 quiet pci=off", "console=ttyS0 quiet no_timer_check")
#: Under TCG, on a machine that has other work too.
BOOT_SECONDS = 240.0


def config(
    name: str,
    *,
    kind: str = "pvh",
    memory_mib: int = GUEST_MIB,
    disks: Sequence[str] = (),
    macs: Sequence[str] = (),
    **settings: object,
) -> bytes:
    """Return an xl configuration; `settings` (on_watchdog="restart") are taken as they are."""
    values: dict[str, object] = {
        "name": name,
        "type": kind,
        "kernel": GUEST_VMLINUZ if kind == "hvm" else GUEST_KERNEL,
        "ramdisk": GUEST_INITRD,
        "memory": memory_mib,
        "vcpus": 1,
        "extra": HVM_CMDLINE if kind == "hvm" else CMDLINE,
        "disk": [
            f"format=raw,vdev=xvd{'abcdef'[index]},access=rw,target={path}"
            for index, path in enumerate(disks)
        ],
        "vif": [f"mac={mac},bridge={BRIDGE}" for mac in macs],
        **({"serial": "pty", "vga": "none"} if kind == "hvm" else {}),
        **settings,
    }
    # xl reads Python's own way of writing strings, numbers and lists.
    return "".join(f"{key} = {value!r}\n" for key, value in values.items()).encode()


async def create(host: Host, name: str, configuration: bytes) -> None:
    """Start a guest; raises Dom0Error with what xl said."""
    path = f"/var/test/{name}.cfg"
    await host.put(path, configuration)
    await host.output("xl", "create", path, timeout_seconds=BOOT_SECONDS)


@asynccontextmanager
async def console(
    host: Host, name: str, *, timeout_seconds: float = BOOT_SECONDS
) -> AsyncIterator[Console]:
    """Enter the console of a running guest once its shell answers."""
    domid = (await host.output("xl", "domid", name)).strip()
    kept = f"/local/domain/{domid}"
    serial = await host.run(["xenstore-read", f"{kept}/serial/0/tty"])  # HVM alone has one
    terminal = serial.stdout or await host.output("xenstore-read", f"{kept}/console/tty")
    async with (
        host.channel.stream(terminal=terminal.strip()) as ends,
        Console.over(*ends) as made,
    ):
        await made.wait_ready(timeout_seconds=timeout_seconds)
        yield made


async def wait_state(host: Host, name: str, letter: str, *, timeout_seconds: float) -> None:
    """Wait until `xl list` shows the letter in the guest's state: s suspended, w by its watchdog.

    Raises TimeoutError.
    """
    async with asyncio.timeout(timeout_seconds):
        while letter not in await _state(host, name):  # noqa: ASYNC110 - another machine ends it
            await asyncio.sleep(0.5)


async def _state(host: Host, name: str) -> str:
    return (await host.output("xl", "list", name)).splitlines()[1].split()[4]


async def names(host: Host) -> list[str]:
    """Return the names of all domains but dom0, half-made and renamed ones too."""
    lines = (await host.output("xl", "list")).splitlines()[1:]
    return [line.split()[0] for line in lines if not line.startswith("Domain-0 ")]


async def destroy_all(host: Host) -> None:
    """End every guest of a host, whatever state it is in."""
    for name in await names(host):
        await host.run(["xl", "destroy", name])
