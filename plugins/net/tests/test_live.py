"""The card on real bridges and a real QEMU, in a network namespace of the test's own."""

import asyncio
import socket

import pytest

from domwarden.contract import End, QemuControl, Refusal, Step
from domwarden.testing.jobs import run
from domwarden.testing.namespace import in_own_network, ip
from domwarden.testing.qmp import bare_qemu
from domwarden_net import Net, links
from domwarden_net.naming import mac_of, tap_of

from .views import view

BRIDGED = Net("eth0", {"bridge": "br0"})
ETH_P_RARP = 0x8035

pytestmark = pytest.mark.live


def make_bridge(name: str) -> None:
    ip("link", "add", name, "type", "bridge")
    ip("link", "set", name, "up")


def test_the_tap_is_made_in_the_bridge_and_deleted() -> None:
    """By the host's own name of the bridge; each job twice, as after a crash."""

    async def test() -> None:
        make_bridge("br-lan")
        domain = view(bridges={"br0": "br-lan"})
        for _ in range(2):
            await run(BRIDGED.open(domain))
        tap = await links.find(tap_of(domain))
        assert tap is not None
        assert tap["master"] == "br-lan"
        assert "UP" in tap["flags"]
        for _ in range(2):
            await run(BRIDGED.close(domain))
        assert await links.find(tap_of(domain)) is None

    in_own_network(test)


def test_a_missing_bridge_is_refused() -> None:
    """Also an interface that is none."""

    async def test() -> None:
        there = view(End.DESTINATION)
        found = []
        tap, bridge = "tuntap add br0 mode tap", "link add br0 type bridge"
        for make in ("", tap, bridge):
            if make:
                ip(*make.split())
            refusal = await run(BRIDGED.receive(there, Step.TEST))  # type: ignore[arg-type] # a job
            found.append(refusal.code if isinstance(refusal, Refusal) else refusal)
            if make:
                ip("link", "delete", "br0")
        assert found == ["no-bridge", "not-a-bridge", None]

    in_own_network(test)


def test_qemu_opens_the_tap_and_announces_the_mac_on_the_bridge() -> None:
    """The RARP frames of announce-self come out of the bridge, from the card's MAC."""

    async def test() -> None:
        make_bridge("br0")
        there = view(End.DESTINATION)
        await run(BRIDGED.open(there))
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_RARP)) as wire:
            wire.bind(("br0", ETH_P_RARP))
            wire.setblocking(False)
            async with bare_qemu(BRIDGED.qemu_args(there)) as qemu:
                there = view(End.DESTINATION, controls=lambda p: qemu if p is QemuControl else None)
                await run(BRIDGED.finish(there))
                loop = asyncio.get_running_loop()
                frames = [await loop.sock_recv(wire, 2000) for _ in range(5)]
        assert {frame[6:12].hex(":") for frame in frames} == {mac_of(there)}
        await run(BRIDGED.recover(there, Step.PREPARE))
        assert await links.find(tap_of(there)) is None

    in_own_network(test)


async def test_the_guest_of_a_real_qemu_has_the_mac() -> None:
    """In user mode, which needs neither root nor a bridge."""
    card = Net("eth0", {"mode": "user", "mac": "52:54:00:12:34:56"})
    async with bare_qemu(card.qemu_args(view()), "-S") as qemu:
        got = {"path": "/machine/peripheral/eth0", "property": "mac"}
        assert await qemu.execute("qom-get", got) == "52:54:00:12:34:56"
