"""The handle by which device jobs and operators speak to one machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domwarden.embedded.backend import Backend


class MachineControl:
    """Implements the contract's ``EmbeddedControl``.

    The device "" is the machine: ``type`` with ``{"line": ...}`` types into the guest's console and
    returns the lines it printed at once; ``log`` returns what the console printed so far.
    """

    def __init__(self, backend: Backend, name: str) -> None:
        self._backend = backend
        self._name = name

    async def command(
        self,
        device: str,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = 10.0,
    ) -> Any:
        """Call a command; raises EngineError."""
        return await self._backend.call(
            "command",
            {
                "name": self._name,
                "device": device,
                "command": command,
                "arguments": dict(arguments or {}),
            },
            timeout_seconds=timeout_seconds,
        )
