"""The handle through which device drivers speak to one domain's QEMU."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

from .monitor import Monitor


class Control:
    """The contract's ``QemuControl``: commands on the control socket, events on the mover's."""

    def __init__(self, control: Monitor, move: Monitor) -> None:
        self._control = control
        self._move = move

    async def execute(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = 10.0,
    ) -> Any:
        """Run one QMP command."""
        execute = self._control.execute
        if command != "device_add":
            return await execute(command, arguments, timeout_seconds=timeout_seconds)
        # A device that cannot be saved must not arrive while somebody saves the devices' state.
        async with self._control.plugging:
            return await execute(command, arguments, timeout_seconds=timeout_seconds)

    @contextlib.asynccontextmanager
    async def events(self, *names: str) -> AsyncGenerator[AsyncIterator[Mapping[str, Any]], None]:
        """Listen for the named events."""
        async with self._move.session() as session, session.listen(*names) as heard:
            yield heard
