"""What a PCI device decides and does in a move."""

from pathlib import Path
from typing import Any

import pytest
import voluptuous as vol

from domwarden.contract import (
    End,
    Hotplug,
    Movement,
    PermanentError,
    QemuArgument,
    Refusal,
    Step,
    TransientError,
)
from domwarden.testing.devices import check_device
from domwarden.testing.jobs import run
from domwarden.testing.qmp import bare_qemu, fake_qmp
from domwarden_pci import Pci, hotplug, sysfs

from .fake_guest import FakeGuest
from .views import view

NVME = {"model": "nvme", "properties": {"serial": "1"}}
REFUSES = Pci("fast", NVME)
UNPLUGS = Pci("fast", {**NVME, "on_migrate": "unplug", "unplug_timeout": 0.2})
ADDRESS = "0000:03:00.0"
PASSED = Pci("fast", {"host": ADDRESS, "on_migrate": "unplug"})
VALUE = {"driver": "nvme", "id": "fast", "serial": "1"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for guests that are not late."""
    monkeypatch.setattr(hotplug, "LATE_SECONDS", 0.05)


def test_the_driver_keeps_the_contract() -> None:
    """Hooks decide without I/O, on either end, at every step."""
    for options in ({"host": "03:00.0", "on_migrate": "unplug"}, {"model": "nvme"}):
        check_device(
            Pci,
            options,
            refused=(
                {},
                {"host": "03:00.0", "model": "nvme"},
                {"host": "3:0"},
                {"model": "nvme,addr=4"},
                {"model": "nvme", "properties": {"id": "x"}},
                {"model": "nvme", "on_migrate": "ignore"},
                {"model": "nvme", "unplug_timeout": 3},
            ),
            engine_hooks=("qemu_args",),
            host_settings={"devices": {"03:00.0": "0000:04:00.0"}},
        )


def test_the_short_address_means_the_first_domain() -> None:
    """As lspci prints it without -D."""
    validated = vol.Schema(Pci.SCHEMA)({"host": "03:00.0"})
    assert validated["host"] == ADDRESS
    assert validated["unplug_timeout"] == 30.0


def test_a_device_refuses_to_move_and_says_what_to_do() -> None:
    """The default; at TEST, on the source."""
    refusal = REFUSES.migrate(view(), Step.TEST)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, "on_migrate: unplug" in refusal.remedy) == ("pci-device", True)
    saved = REFUSES.migrate(view(movement=Movement.SAVE), Step.TEST)
    assert isinstance(saved, Refusal)
    assert "be saved" in saved.reason
    assert REFUSES.migrate(view(), Step.PREPARE) is None
    assert REFUSES.recover(view(), Step.SYNC) is REFUSES.finish(view(End.DESTINATION)) is None


def test_a_stopped_guest_cannot_let_go() -> None:
    """Refused before anything is done."""
    refusal = UNPLUGS.migrate(view(running=False), Step.TEST)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "guest-not-running"
    assert UNPLUGS.migrate(view(), Step.TEST) is None


def test_only_its_own_blocker_is_cleared_and_only_by_unplugging() -> None:
    """The engine names the device by its YAML id."""
    mine = Refusal("device-state", "non-migratable device", "", device="fast")
    other = Refusal("device-state", "non-migratable device", "", device="slow")
    assert UNPLUGS.clears(view(), mine) is True
    assert UNPLUGS.clears(view(), other) is None
    assert REFUSES.clears(view(), mine) is None


def test_on_the_destination_the_device_comes_later() -> None:
    """Its place is kept; a device that would refuse is on the command line as ever."""
    there = view(End.DESTINATION)
    assert UNPLUGS.qemu_args(there) == [QemuArgument("device", VALUE, later=True)]
    assert UNPLUGS.qemu_args(view(movement=None)) == [QemuArgument("device", VALUE)]
    assert REFUSES.qemu_args(there) == [QemuArgument("device", VALUE)]


def test_each_host_has_its_own_address() -> None:
    """Mapped in the host file."""
    mapped = view(devices={ADDRESS: "0000:81:00.1"})
    assert PASSED.qemu_args(mapped)[0].value == {
        "driver": "vfio-pci",
        "id": "fast",
        "host": "0000:81:00.1",
    }
    assert PASSED.describe(mapped) == {"device": "0000:81:00.1", "on_migrate": "unplug"}


async def test_the_guest_lets_go_and_the_device_comes_back() -> None:
    """At the place the domain was started with; every job may run twice."""
    guest = FakeGuest(lets_go_seconds=0.01)
    async with fake_qmp(guest.answer) as qemu:
        for _ in range(2):
            await run(UNPLUGS.migrate(view(qemu=qemu), Step.PREPARE))
            assert not guest.plugged
        for _ in range(2):
            await run(UNPLUGS.recover(view(qemu=qemu), Step.PREPARE))
            assert guest.plugged == {"fast": {**VALUE, "addr": "0x5"}}


async def test_it_is_plugged_in_at_the_destination_only() -> None:
    """When the domain runs there."""
    guest = FakeGuest()
    guest.plugged.clear()
    async with fake_qmp(guest.answer) as qemu:
        assert UNPLUGS.finish(view(qemu=qemu)) is None
        assert UNPLUGS.recover(view(End.DESTINATION, qemu=qemu), Step.SYNC) is None
        await run(UNPLUGS.finish(view(End.DESTINATION, qemu=qemu)))
        assert guest.plugged == {"fast": {**VALUE, "addr": "0x5"}}


async def test_a_second_request_waits_for_the_first_one() -> None:
    """A job that was interrupted while the guest worked on it."""
    guest = FakeGuest(lets_go_seconds=0.05)
    async with fake_qmp(guest.answer) as qemu:
        await qemu.execute("device_del", {"id": "fast"})
        await run(UNPLUGS.migrate(view(qemu=qemu), Step.PREPARE))
        assert not guest.plugged


async def test_a_guest_that_never_lets_go_fails_the_move() -> None:
    """In the time the entry gives it, and the device stays."""
    async with fake_qmp(FakeGuest(lets_go_seconds=None).answer) as qemu:
        with pytest.raises(PermanentError, match=r"did not let go of fast in 0\.2 s"):
            await run(UNPLUGS.migrate(view(qemu=qemu), Step.PREPARE))


async def test_a_guest_that_refuses_fails_the_move_at_once() -> None:
    """DEVICE_UNPLUG_GUEST_ERROR."""
    async with fake_qmp(FakeGuest(refuses=True).answer) as qemu:
        with pytest.raises(PermanentError, match="refused to let go"):
            await run(UNPLUGS.migrate(view(qemu=qemu), Step.PREPARE))


async def test_a_guest_that_lets_go_late_gets_the_device_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The unplugging timed out, recovery began, and only then the guest was done."""
    monkeypatch.setattr(hotplug, "LATE_SECONDS", 10.0)
    guest = FakeGuest(lets_go_seconds=0.4)
    async with fake_qmp(guest.answer) as qemu:
        with pytest.raises(PermanentError):
            await run(UNPLUGS.migrate(view(qemu=qemu), Step.PREPARE))
        await run(UNPLUGS.recover(view(qemu=qemu), Step.PREPARE))
        assert guest.plugged == {"fast": {**VALUE, "addr": "0x5"}}


async def test_a_device_that_never_left_is_left_alone() -> None:
    """Recovery may come although the step never ran."""
    guest = FakeGuest()
    async with fake_qmp(guest.answer) as qemu:
        await run(UNPLUGS.recover(view(qemu=qemu), Step.PREPARE))
        assert guest.plugged == {"fast": {}}
    assert UNPLUGS.recover(view(), Step.TEST) is None


async def test_a_lost_connection_is_tried_again() -> None:
    """The outcome is unknown, and the job may be repeated."""
    async with fake_qmp(FakeGuest(lets_go_seconds=None).answer) as qemu:
        pass
    with pytest.raises(TransientError):
        await run(UNPLUGS.recover(view(qemu=_Lost(qemu)), Step.PREPARE))
    with pytest.raises(PermanentError, match="on QEMU only"):
        await run(UNPLUGS.migrate(view(), Step.PREPARE))


class _Lost:
    """A control whose commands are never answered."""

    def __init__(self, qemu: Any) -> None:
        self.events = qemu.events
        self._qemu = qemu

    async def execute(self, command: str, arguments: Any = None, **_: Any) -> Any:
        return await self._qemu.execute(command, arguments, timeout_seconds=0.01)


async def test_the_destination_must_have_the_device_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Present, and bound to vfio-pci."""
    monkeypatch.setattr(sysfs, "DEVICES", tmp_path)
    there = view(End.DESTINATION, devices={ADDRESS: "0000:81:00.1"})
    refusal = await run(PASSED.receive(there, Step.TEST))
    assert isinstance(refusal, Refusal)
    assert (refusal.code, "0000:81:00.1" in refusal.reason) == ("no-device", True)
    (tmp_path / "0000:81:00.1").mkdir()
    (tmp_path / "nvme").mkdir()
    (tmp_path / "0000:81:00.1" / "driver").symlink_to(tmp_path / "nvme")
    refusal = await run(PASSED.receive(there, Step.TEST))
    assert isinstance(refusal, Refusal)
    assert (refusal.code, "bound to nvme" in refusal.reason) == ("device-in-use", True)
    (tmp_path / "vfio-pci").mkdir()
    (tmp_path / "0000:81:00.1" / "driver").unlink()
    (tmp_path / "0000:81:00.1" / "driver").symlink_to(tmp_path / "vfio-pci")
    assert await run(PASSED.receive(there, Step.TEST)) is None
    assert UNPLUGS.receive(there, Step.TEST) is PASSED.receive(there, Step.PREPARE) is None


@pytest.mark.live
async def test_nvme_blocks_a_move_on_a_real_qemu_and_needs_a_live_guest() -> None:
    """Without a guest nobody answers the request; the move of a real guest is tested elsewhere."""
    async with bare_qemu(UNPLUGS.qemu_args(view(movement=None))) as qemu:
        (reason,) = (await qemu.execute("query-migrate"))["blocked-reasons"]
        assert "nvme" in reason
        with pytest.raises(PermanentError, match="did not let go"):
            await run(UNPLUGS.migrate(view(qemu=qemu), Step.PREPARE))
        await run(UNPLUGS.recover(view(qemu=qemu), Step.PREPARE))
        assert await Hotplug(view(qemu=qemu), "fast").present()


@pytest.mark.live
async def test_a_real_qemu_takes_the_device_at_its_old_place() -> None:
    """What the finishing job does on the destination."""
    async with bare_qemu([], "-S") as qemu:
        await run(UNPLUGS.finish(view(End.DESTINATION, qemu=qemu)))
        got = {"path": "/machine/peripheral/fast", "property": "addr"}
        assert await qemu.execute("qom-get", got) == 5 << 3
