"""One QMP socket of one QEMU process, shared by all who use it in this process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from qemu.qmp import (
    ConnectError,
    ExecuteError,
    QMPClient,
    QMPError,
    Runstate,
)
from qemu.qmp.qmp_client import GreetingError, NegotiationError

from domwarden.contract import EngineError, OutcomeUnknownError

from .hearing import Heard, hearing

# Without a handler the library's reports of lost connections would reach stderr by themselves.
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())

CONNECT_TIMEOUT_SECONDS = 5.0
LINGER_SECONDS = 1.0
#: Where others wait for their turn: a few questions that follow each other share a connection.
SHORT_LINGER_SECONDS = 0.05
_DISCONNECT_TIMEOUT_SECONDS = 2.0


class Session:
    """A negotiated QMP connection; out-of-band commands work even when QEMU's main loop hangs."""

    def __init__(self, client: QMPClient, name: str) -> None:
        self._client = client
        self._name = name

    async def execute(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = 10.0,
        oob: bool = False,
    ) -> Any:
        """Run one command; EngineError: QEMU refuses; OutcomeUnknownError: it is silent."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._client.execute(command, arguments, oob=oob)
        except TimeoutError as error:
            message = f"{self._name}: QEMU did not answer {command} in {timeout_seconds:g} s"
            raise OutcomeUnknownError(message, command=command) from error
        except ExecuteError as error:
            raise EngineError(f"{self._name}: {command}: {error}", command=command) from error
        except (QMPError, EOFError, OSError) as error:
            message = f"{self._name}: the connection to QEMU was lost during {command}"
            raise OutcomeUnknownError(message, command=command) from error

    async def pass_descriptor(self, name: str, descriptor: int) -> None:
        """Give QEMU an open file or socket under a name."""
        try:
            self._client.send_fd_scm(descriptor)
        except (QMPError, OSError) as error:
            message = f"{self._name}: a descriptor could not be passed to QEMU: {error}"
            raise OutcomeUnknownError(message, command="getfd") from error
        await self.execute("getfd", {"fdname": name})

    def hear(self, *names: str) -> contextlib.AbstractAsyncContextManager[Heard]:
        """Collect the named events (all, without names) from the moment of entry."""
        return hearing(self._client, self._name, *names)

    @contextlib.asynccontextmanager
    async def listen(self, *names: str) -> AsyncGenerator[AsyncIterator[Mapping[str, Any]], None]:
        """Follow the named events from the moment of entry."""
        async with self.hear(*names) as heard:
            yield heard.follow()


class Monitor:
    """A socket on which QEMU serves one client at a time.

    A connection lives as long as somebody in this process needs it, so that other processes get
    their turn.  Making one costs one or two milliseconds; whoever counts them lets it linger a
    moment for the next step.
    """

    def __init__(self, path: Path, name: str, linger_seconds: float = LINGER_SECONDS) -> None:
        self._path = path
        self._linger_seconds = linger_seconds
        self._name = name
        self._users = 0
        self._client: QMPClient | None = None
        self._lock = asyncio.Lock()
        #: Held by whoever plugs a device in, and by whoever must not see one arrive meanwhile.
        #: Other processes are kept out by their connection: QEMU serves one at a time.
        self.plugging = asyncio.Lock()
        self._lingering: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def session(
        self, timeout_seconds: float = CONNECT_TIMEOUT_SECONDS, *, linger: bool = False
    ) -> AsyncGenerator[Session, None]:
        """Enter a connection; raises EngineError when there is none within that time."""
        client = await self._acquire(timeout_seconds)
        try:
            yield Session(client, self._name)
        finally:
            await self._release(client, linger=linger)

    async def aclose(self) -> None:
        """End a connection that lingers."""
        if self._lingering is not None:
            self._lingering.cancel()
            await asyncio.gather(self._lingering, return_exceptions=True)
        # A task that is cancelled before its first step has not even cleaned up.
        if self._client is not None and not self._users:
            client, self._client = self._client, None
            await _disconnect(client)

    async def execute(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = 10.0,
    ) -> Any:
        """Run one command on a connection of its own or one that is open anyway."""
        limit = min(timeout_seconds, CONNECT_TIMEOUT_SECONDS)
        async with self.session(limit, linger=True) as session:
            return await session.execute(command, arguments, timeout_seconds=timeout_seconds)

    async def _acquire(self, timeout_seconds: float) -> QMPClient:
        try:
            async with asyncio.timeout(timeout_seconds), self._lock:
                if self._client is None or self._client.runstate != Runstate.RUNNING:
                    self._client, self._users = await self._connect(), 0
                self._users += 1
                return self._client
        except TimeoutError as error:
            message = (
                f"{self._name}: QEMU's {self._path.name} socket gave no greeting in"
                f" {timeout_seconds:g} s: it hangs, or another client holds it"
            )
            raise EngineError(message, command="qmp_capabilities") from error
        except ConnectError as error:
            message = f"{self._name}: no connection to QEMU: {error.exc}".rstrip(": ")
            raise EngineError(message, command="qmp_capabilities") from error

    async def _connect(self) -> QMPClient:
        while True:
            fresh = QMPClient(self._name)
            fresh.events.names = {""}  # nobody reads the default listener
            try:
                await fresh.connect(str(self._path))
            except ConnectError as error:
                # The library stumbles over an event that overtakes the answer to qmp_capabilities,
                # and over one that QEMU still had for the client before and sends ahead of the
                # greeting.  No command was given, so trying again is safe; the caller bounds it.
                if not isinstance(error.exc, GreetingError | NegotiationError):
                    raise
            else:
                return fresh

    async def _release(self, client: QMPClient, *, linger: bool) -> None:
        if client is self._client:
            self._users -= 1
            if self._users:
                return
            if linger and client.runstate == Runstate.RUNNING:
                name = f"{self._name}/qmp/linger"
                self._lingering = asyncio.create_task(self._linger(client), name=name)
                return
            self._client = None
        await _disconnect(client)

    async def _linger(self, client: QMPClient) -> None:
        try:
            await asyncio.sleep(self._linger_seconds)
        finally:
            # Also at the end of the event loop.  A later user keeps it, and ends it in turn.
            if client is not self._client or not self._users:
                if client is self._client:
                    self._client = None
                await _disconnect(client)


async def _disconnect(client: QMPClient) -> None:
    if client.runstate == Runstate.IDLE:
        return  # another user has cleaned up already
    try:
        async with asyncio.timeout(_DISCONNECT_TIMEOUT_SECONDS):
            await client.disconnect()
    except (QMPError, EOFError, OSError, AssertionError):
        pass  # it says again why the connection was lost; whoever waited was told already
