"""What the network card decides and does."""

from pathlib import Path
from typing import Any

import pytest
import voluptuous as vol
from hypothesis import given
from hypothesis import strategies as st

from domwarden.contract import (
    EmbeddedControl,
    End,
    PermanentError,
    QemuArgument,
    QemuControl,
    Refusal,
    Step,
)
from domwarden.testing.jobs import run
from domwarden_net import Net
from domwarden_net.naming import mac_of, tap_of
from domwarden_net.options import mac

from .fake_ip import FakeIp
from .views import UUID, view

BRIDGED = Net("eth0", {"bridge": "br0"})
USER = Net("eth0", {"mode": "user"})


@pytest.fixture
def ip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeIp:
    return FakeIp(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bridge": "br0", "mode": "user"},
        {"bridge": "a name"},
        {"bridge": "sixteen-letters-"},
        {"mode": "nat"},
        {"mode": "user", "mac": "52:54:00:12:34"},
        {"mode": "user", "mac": "01:00:5e:00:00:01"},
        {"mode": "user", "mac": "00:00:00:00:00:00"},
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    """One network, names the kernel takes, a MAC of one card."""
    with pytest.raises(vol.Invalid):
        vol.Schema(Net.SCHEMA)(options)


@given(st.one_of(st.text(), st.integers(), st.none(), st.binary()))
def test_a_mac_is_valid_or_invalid_and_nothing_else(value: Any) -> None:
    """The validator never raises anything but Invalid."""
    try:
        assert len(mac(value)) == 17
    except vol.Invalid:
        pass


def test_the_card_on_qemu_is_virtio_without_rom() -> None:
    """Bridged with a tap of this host, or user mode."""
    card = {"driver": "virtio-net-pci", "id": "eth0", "netdev": "eth0-net", "romfile": ""}
    card["mac"] = mac_of(view())
    tap = {"type": "tap", "id": "eth0-net", "ifname": tap_of(view()), "script": "no"}
    assert BRIDGED.qemu_args(view()) == [
        QemuArgument("netdev", {**tap, "downscript": "no"}),
        QemuArgument("device", card),
    ]
    assert USER.qemu_args(view())[0] == QemuArgument("netdev", {"type": "user", "id": "eth0-net"})


def test_the_mac_is_the_same_on_every_host_and_the_tap_is_not() -> None:
    """Two hosts may share one network namespace."""
    assert mac_of(view(host="a")) == mac_of(view(host="b"))
    assert mac_of(view()).startswith("52:54:00:")
    assert mac_of(view()) != mac_of(view(device="eth1"))
    assert tap_of(view(host="a")) != tap_of(view(host="b"))
    assert len(tap_of(view())) <= 15
    assert Net("eth0", {"mode": "user", "mac": "52:54:00:00:00:01"}).describe(view()) == {
        "mac": "52:54:00:00:00:01",
        "network": "user",
    }


async def test_open_makes_the_tap_and_close_deletes_it(ip: FakeIp) -> None:
    """Each may run twice, as after a crash."""
    ip.add("br-lan", "bridge")
    domain = view(bridges={"br0": "br-lan"})
    tap = tap_of(domain)
    await run(BRIDGED.open(domain))
    assert ip.changes == [
        f"tuntap add dev {tap} mode tap",
        f"link set dev {tap} master br-lan",
        f"link set dev {tap} up",
    ]
    await run(BRIDGED.open(domain))
    assert ip.links[tap]["master"] == "br-lan"
    await run(BRIDGED.close(domain))
    await run(BRIDGED.close(domain))
    assert list(ip.links) == ["br-lan"]


async def test_a_tap_that_cannot_be_joined_is_not_left_behind(ip: FakeIp) -> None:
    """The job fails with ip's own words, and a hint where rights are missing."""
    ip.add("br0", "bridge")
    ip.refuse({"master": "RTNETLINK answers: Operation not permitted"})
    with pytest.raises(PermanentError, match=r"Operation not permitted .*CAP_NET_ADMIN"):
        await run(BRIDGED.open(view()))
    assert list(ip.links) == ["br0"]


async def test_a_missing_bridge_fails_the_opening(ip: FakeIp) -> None:
    """Nothing is made."""
    with pytest.raises(PermanentError, match="no bridge br0"):
        await run(BRIDGED.open(view()))
    assert not ip.changes


async def test_without_ip_the_hint_names_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, no traceback."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("domwarden_net.links._FALLBACK", str(tmp_path / "ip"))
    with pytest.raises(PermanentError, match="iproute2"):
        await run(BRIDGED.open(view()))


async def test_the_destination_refuses_without_the_bridge(ip: FakeIp) -> None:
    """At TEST, by the name it has on that host, with what to do."""
    there = view(End.DESTINATION, host="b", bridges={"br0": "br-lan"})
    refusal = await run(BRIDGED.receive(there, Step.TEST))  # type: ignore[arg-type] # a job
    assert isinstance(refusal, Refusal)
    assert (refusal.code, "br-lan" in refusal.reason) == ("no-bridge", True)
    assert "drivers: net: bridges: {br0: ...}" in refusal.remedy
    ip.add("br-lan", "dummy")
    refusal = await run(BRIDGED.receive(there, Step.TEST))  # type: ignore[arg-type] # a job
    assert isinstance(refusal, Refusal)
    assert refusal.code == "not-a-bridge"
    ip.add("br-lan", "bridge")
    assert await run(BRIDGED.receive(there, Step.TEST)) is None  # type: ignore[arg-type] # a job
    assert not ip.changes


async def test_recovery_deletes_the_tap_of_the_abandoned_copy_only(ip: FakeIp) -> None:
    """The source's card stays on its bridge."""
    there = view(End.DESTINATION, host="b")
    ip.add(tap_of(view()), "tun")
    ip.add(tap_of(there), "tun")
    assert BRIDGED.recover(view(), Step.SYNC) is None
    await run(BRIDGED.recover(there, Step.PREPARE))
    assert list(ip.links) == [tap_of(view())]


@pytest.mark.parametrize("step", Step)
def test_user_mode_has_nothing_to_do(step: Step) -> None:
    """No tap, no bridge, no refusal."""
    there = view(End.DESTINATION)
    assert USER.open(there) is USER.close(there) is None
    assert USER.receive(there, step) is USER.recover(there, step) is None


def test_an_embedded_machine_needs_no_bridge() -> None:
    """Its cards have no wire."""
    domain = view(End.DESTINATION, engine="embedded")
    assert BRIDGED.open(domain) is BRIDGED.receive(domain, Step.TEST) is None


class Recorder:
    """An engine's handle that answers everything."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    async def execute(self, command: str, arguments: Any = None, **_: Any) -> Any:
        self.calls.append((command, arguments))
        return {}

    async def command(self, device: str, command: str, arguments: Any = None, **_: Any) -> Any:
        self.calls.append((device, command))
        return {}


@pytest.mark.parametrize(
    ("protocol", "call"),
    [
        (
            QemuControl,
            (
                "announce-self",
                {"initial": 50, "max": 550, "rounds": 5, "step": 50}
                | {"interfaces": ["eth0"], "id": "eth0"},
            ),
        ),
        (EmbeddedControl, ("eth0", "announce")),
    ],
)
async def test_the_destination_announces_the_card(protocol: type, call: tuple[Any, ...]) -> None:
    """The source does not."""
    recorder = Recorder()
    there = view(End.DESTINATION, controls=lambda p: recorder if p is protocol else None)
    await run(USER.finish(there))
    assert recorder.calls == [call]
    assert USER.finish(view()) is None


def test_the_uuid_makes_the_mac() -> None:
    """A golden value: it is journaled nowhere else, so it must never change."""
    assert UUID == "6f9619ff-8b86-d011-b42d-00cf4fc964ff"
    assert mac_of(view()) == "52:54:00:56:7f:82"
