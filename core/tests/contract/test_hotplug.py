"""A device is taken out of QEMU and put back, whatever was done before."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from domwarden.contract import (
    Definition,
    Domain,
    EngineError,
    Host,
    Hotplug,
    PermanentError,
    QemuControl,
    TransientError,
)
from domwarden.testing.qmp import Emit, fake_qmp

CARD = {"driver": "nvme", "id": "card"}


class Qemu:
    """Answers QMP for one device; ``says`` is the event that an unplugging brings."""

    def __init__(self, says: str = "DEVICE_DELETED", *, lets_go: bool = True) -> None:
        self.plugged = {"card"}
        self.says = says
        self.lets_go = lets_go

    async def answer(self, command: str, arguments: Mapping[str, Any], emit: Emit) -> Any:
        match command:
            case "qom-list":
                return [{"name": name, "type": "child<nvme>"} for name in self.plugged]
            case "device_del" if arguments["id"] in self.plugged:
                if self.lets_go:
                    self.plugged.remove("card")
                emit("DEVICE_DELETED", {"path": "/machine/peripheral/card/part"})
                if self.says:
                    emit(self.says, {"device": "card", "path": "/x"})
                return {}
            case "device_add" if arguments["id"] not in self.plugged:
                self.plugged.add(arguments["id"])
                return {}
        raise EngineError(f"{command}: refused")


def card(qemu: object | None, device: str = "card") -> Hotplug:
    controls = {QemuControl: qemu}
    definition, host = Definition("web1", "u", "qemu", 2**28), Host("a", Path("s"))
    domain = Domain(definition, host, controls=controls.get)
    return Hotplug(domain, device)


async def test_each_call_may_be_repeated() -> None:
    """A job may run twice."""
    qemu = Qemu()
    async with fake_qmp(qemu.answer) as control:
        for _ in range(2):
            assert await card(control).unplug(1.0)
            assert not await card(control).present()
        assert await card(control).left(1.0)
        for _ in range(2):
            await card(control).plug(CARD)
            assert await card(control).present()


async def test_a_device_that_leaves_without_a_word_has_left() -> None:
    """Its event may have been lost with an earlier connection."""
    async with fake_qmp(Qemu(says="").answer) as control:
        assert await card(control).unplug(0.05)


async def test_a_device_that_stays_is_seen_to_stay() -> None:
    """Neither unplugging nor waiting for an earlier one is believed without looking."""
    async with fake_qmp(Qemu(says="", lets_go=False).answer) as control:
        assert not await card(control).unplug(0.05)
        assert not await card(control).left(0.05)


async def test_a_guest_may_refuse() -> None:
    """DEVICE_UNPLUG_GUEST_ERROR."""
    qemu = Qemu("DEVICE_UNPLUG_GUEST_ERROR", lets_go=False)
    async with fake_qmp(qemu.answer) as control:
        with pytest.raises(PermanentError, match="refused to let go of card"):
            await card(control).unplug(1.0)


async def test_errors_say_whether_to_try_again() -> None:
    """A refused command is final, a lost connection is not; no other engine has QMP."""
    async with fake_qmp(Qemu().answer) as control:
        with pytest.raises(PermanentError, match="device_add"):
            await card(control, "other").plug(CARD)
    with pytest.raises(TransientError):
        await card(_Silent(control)).present()
    with pytest.raises(PermanentError, match="on QEMU only"):
        await card(None).present()


class _Silent:
    """A control whose commands are never answered."""

    def __init__(self, control: Any) -> None:
        self.events = control.events
        self._control = control

    async def execute(self, command: str, arguments: Any = None) -> Any:
        return await self._control.execute(command, arguments, timeout_seconds=0.01)
