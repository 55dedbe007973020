"""The typed handles through which a device driver speaks to an engine it does not import."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class QemuControl(Protocol):
    """One domain's QMP connection on the ``qemu`` engine.

    https://www.qemu.org/docs/master/interop/qmp-spec.html
    """

    async def execute(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = 10.0,
    ) -> Any:
        """Run one QMP command; returns its ``return`` value.

        Raises EngineError when QEMU answers with an error, OutcomeUnknownError when it does not
        answer in time or the connection is lost.
        """

    def events(self, *names: str) -> AbstractAsyncContextManager[AsyncIterator[Mapping[str, Any]]]:
        """Listen for the named QMP events from the moment the context is entered.

        The iterator raises OutcomeUnknownError when the connection is lost; bound it with
        ``asyncio.timeout``.
        """


class EmbeddedControl(Protocol):
    """One domain on the ``embedded`` engine."""

    async def command(
        self,
        device: str,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = 10.0,
    ) -> Any:
        """Call a command that the device registered with ``Machine.add_command``; plain data."""
