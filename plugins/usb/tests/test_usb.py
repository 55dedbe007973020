"""What a USB device decides and does in a move."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from domwarden.contract import (
    End,
    EngineError,
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
from domwarden.testing.qmp import Emit, bare_qemu, fake_qmp
from domwarden_usb import Usb, driver, sysfs

from .views import view

STICK = Usb("player", {"host": "0951:1666", "on_migrate": "unplug"})
REFUSES = Usb("player", {"host": "0951:1666"})
CONTROLLER = QemuArgument("device", {"driver": "qemu-xhci", "id": "player-bus"})


def player(root: Path, on_migrate: str = "unplug") -> Usb:
    properties = {"rootdir": str(root)}
    options = {"model": "usb-mtp", "properties": properties, "on_migrate": on_migrate}
    return Usb("player", options)


def test_the_driver_keeps_the_contract() -> None:
    """Hooks decide without I/O, on either end, at every step."""
    for options in ({"host": "0951:1666", "on_migrate": "unplug"}, {"model": "usb-tablet"}):
        check_device(
            Usb,
            options,
            refused=(
                {},
                {"host": "0951:1666", "model": "usb-mtp"},
                {"host": "951:1666"},
                {"model": "usb-mtp,bus=x"},
                {"model": "usb-mtp", "properties": {"bus": "x"}},
            ),
            engine_hooks=("qemu_args",),
        )


def test_a_device_refuses_to_move_and_says_what_to_do() -> None:
    """The default; at TEST, on the source, also for a save."""
    refusal = REFUSES.migrate(view(), Step.TEST)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, "on_migrate: unplug" in refusal.remedy) == ("usb-device", True)
    saved = REFUSES.migrate(view(movement=Movement.SAVE), Step.TEST)
    assert isinstance(saved, Refusal)
    assert "be saved" in saved.reason
    assert REFUSES.recover(view(), Step.SYNC) is REFUSES.finish(view(End.DESTINATION)) is None


def test_a_host_device_sits_on_a_controller_of_its_own() -> None:
    """The controller moves with the guest; the device comes later."""
    value = {"driver": "usb-host", "id": "player", "vendorid": 0x0951, "productid": 0x1666}
    value["bus"] = "player-bus.0"
    assert STICK.qemu_args(view(movement=None)) == [CONTROLLER, QemuArgument("device", value)]
    there = STICK.qemu_args(view(End.DESTINATION))
    assert there == [CONTROLLER, QemuArgument("device", value, later=True)]


def test_its_blocker_is_cleared_by_unplugging_only() -> None:
    """QEMU may name it by its controller's place."""
    for device, cleared in (("player", True), ("player-bus", True), ("other", None)):
        blocker = Refusal("device-state", "non-migratable device", "", device=device)
        assert STICK.clears(view(), blocker) is cleared
        assert REFUSES.clears(view(), blocker) is None


class FakeQemu:
    """Answers QMP for one device."""

    def __init__(self, *, tells: bool = True, lets_go: bool = True) -> None:
        self.plugged = {"player"}
        self.tells = tells
        self.lets_go = lets_go

    async def answer(self, command: str, arguments: Mapping[str, Any], emit: Emit) -> Any:
        match command:
            case "qom-list":
                return [{"name": name, "type": "child<usb-host>"} for name in self.plugged]
            case "device_del":
                if self.lets_go:
                    self.plugged.remove(arguments["id"])
                if self.lets_go and self.tells:
                    emit("DEVICE_DELETED", {"device": arguments["id"], "path": "/x"})
                return {}
            case "device_add" if arguments["bus"] == "player-bus.0":
                self.plugged.add(arguments["id"])
                return {}
        raise EngineError(f"{command}: no such thing")


async def test_it_is_pulled_out_and_put_back() -> None:
    """Every job may run twice."""
    fake = FakeQemu()
    async with fake_qmp(fake.answer) as qemu:
        for _ in range(2):
            await run(STICK.migrate(view(qemu=qemu), Step.PREPARE))
            assert not fake.plugged
        for _ in range(2):
            await run(STICK.recover(view(qemu=qemu), Step.PREPARE))
            assert fake.plugged == {"player"}


async def test_a_silent_qemu_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have taken the device out all the same; where it has not, the job is tried again."""
    monkeypatch.setattr(driver, "UNPLUG_SECONDS", 0.05)
    fake = FakeQemu(tells=False)
    async with fake_qmp(fake.answer) as qemu:
        await run(STICK.migrate(view(qemu=qemu), Step.PREPARE))
        assert not fake.plugged
    fake = FakeQemu(lets_go=False)
    async with fake_qmp(fake.answer) as qemu:
        with pytest.raises(TransientError, match="did not take player out"):
            await run(STICK.migrate(view(qemu=qemu), Step.PREPARE))
        fake.lets_go = True
        await run(STICK.migrate(view(qemu=qemu), Step.PREPARE))
        assert not fake.plugged
    with pytest.raises(PermanentError, match="on QEMU only"):
        await run(STICK.migrate(view(), Step.PREPARE))


async def test_the_destination_must_have_exactly_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By vendor and product number, as usb-host finds it."""
    monkeypatch.setattr(sysfs, "DEVICES", tmp_path)
    there = view(End.DESTINATION)
    (tmp_path / "1-1:1.0").mkdir()  # an interface has no numbers
    codes = []
    for place in ("1-1", "1-2"):
        refusal = await run(STICK.receive(there, Step.TEST))
        codes.append(refusal.code if isinstance(refusal, Refusal) else refusal)
        (tmp_path / place).mkdir()
        (tmp_path / place / "idVendor").write_text("0951\n")
        (tmp_path / place / "idProduct").write_text("1666\n")
    refusal = await run(STICK.receive(there, Step.TEST))
    assert isinstance(refusal, Refusal)
    assert [*codes, refusal.code] == ["no-device", None, "which-device"]
    assert REFUSES.receive(there, Step.TEST) is STICK.receive(there, Step.SYNC) is None


@pytest.mark.live
async def test_a_media_player_is_pulled_out_of_a_real_qemu_and_put_back(tmp_path: Path) -> None:
    """usb-mtp blocks every move while it is plugged in."""
    device = player(tmp_path)
    async with bare_qemu(device.qemu_args(view(movement=None)), "-S") as qemu:
        migration = await qemu.execute("query-migrate")
        (reason,) = migration["blocked-reasons"]
        assert "usb-mtp" in reason
        await run(device.migrate(view(qemu=qemu), Step.PREPARE))
        assert "blocked-reasons" not in await qemu.execute("query-migrate")
        await run(device.recover(view(qemu=qemu), Step.PREPARE))
        (reason,) = (await qemu.execute("query-migrate"))["blocked-reasons"]
        assert "usb-mtp" in reason


@pytest.mark.live
async def test_a_real_destination_gets_it_after_the_stream(tmp_path: Path) -> None:
    """Its controller is there from the start, and takes the device."""
    device = player(tmp_path)
    async with bare_qemu(device.qemu_args(view(End.DESTINATION)), "-S") as qemu:
        there = view(End.DESTINATION, qemu=qemu)
        assert not await Hotplug(there, "player").present()
        await run(device.finish(there))
        assert await Hotplug(there, "player").present()
