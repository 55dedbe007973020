"""A fake QEMU with one device and a guest that lets go of it, late, never, or refuses."""

import asyncio
from collections.abc import Mapping
from typing import Any

from domwarden.contract import EngineError
from domwarden.testing.qmp import Emit


class FakeGuest:
    """Answers QMP for a test; ``lets_go_seconds`` None: never."""

    def __init__(self, *, lets_go_seconds: float | None = 0.0, refuses: bool = False) -> None:
        self.lets_go_seconds = lets_go_seconds
        self.refuses = refuses
        self.plugged: dict[str, Mapping[str, Any]] = {"fast": {}}
        self._asked = False

    async def answer(self, command: str, arguments: Mapping[str, Any], emit: Emit) -> Any:
        match command:
            case "qom-list":
                return [{"name": name, "type": "child<nvme>"} for name in self.plugged]
            case "device_del":
                return self._delete(arguments["id"], emit)
            case "device_add":
                if arguments["id"] in self.plugged:
                    raise EngineError(f"Duplicate device ID '{arguments['id']}'")
                self.plugged[arguments["id"]] = dict(arguments)
                return {}
        raise EngineError(f"The command {command} has not been found")

    def _delete(self, device: str, emit: Emit) -> Any:
        if device not in self.plugged:
            raise EngineError(f"Device '{device}' not found")
        if self._asked:
            raise EngineError(f"Device {device} is already in the process of unplug")
        self._asked = True
        emit("DEVICE_DELETED", {"path": "/machine/peripheral/other/virtio-backend"})
        if self.refuses:
            emit("DEVICE_UNPLUG_GUEST_ERROR", {"device": device, "path": "/x"})
        elif self.lets_go_seconds is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(self.lets_go_seconds, self._gone, device, emit)
        return {}

    def _gone(self, device: str, emit: Emit) -> None:
        del self.plugged[device]
        self._asked = False
        emit("DEVICE_DELETED", {"device": device, "path": f"/machine/peripheral/{device}"})
