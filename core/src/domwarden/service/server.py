"""Runs the service until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator

from aiohttp import web

from domwarden.config import HostFile
from domwarden.guard.talk import tell_systemd
from domwarden.migration import Ports
from domwarden.migration.listening import listening
from domwarden.service import watchdog
from domwarden.service.answering import Answering
from domwarden.service.api import ROUTES
from domwarden.service.connection import Connection, Gate
from domwarden.service.emptying import ServiceEmptying
from domwarden.service.host import HostService
from domwarden.service.socketfile import listen, only_service

logger = logging.getLogger(__name__)

#: How long answers under way may take when the service ends.
GRACE_SECONDS = 10.0


def run(host_file: HostFile) -> None:
    """Serve a host until SIGTERM or SIGINT; raises DomwardenError when that cannot begin."""
    with only_service(host_file.host.state_directory):
        asyncio.run(_until_told(host_file))


async def _until_told(host_file: HostFile) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    async with serving(host_file):
        logger.info("%s answers at %s", host_file.host.name, host_file.socket_path)
        tell_systemd("READY=1")
        async with asyncio.TaskGroup() as group:
            kicking = group.create_task(watchdog.kick(), name="watchdog")
            await told.wait()
            kicking.cancel()
        tell_systemd("STOPPING=1")
        logger.info("ending; every domain runs on, and every move goes on by itself")


@contextlib.asynccontextmanager
async def serving(
    host_file: HostFile,
    *,
    ports: Ports | None = None,
    in_process: bool | None = None,
    gate: Gate | None = None,
) -> AsyncIterator[HostService]:
    """Serve a host as long as the context lasts, its peers too where the host file has addresses.

    Raises DomwardenError when it cannot.
    """
    loop = asyncio.get_running_loop()
    async with (
        HostService(host_file, ports=ports, in_process=in_process) as service,
        _answering_peers(service),
    ):
        answering = Answering(service, ROUTES)
        server = web.Server(answering)
        counted = gate or Gate()
        made = await asyncio.to_thread(listen, host_file.socket_path)
        listening = await loop.create_unix_server(
            lambda: Connection(server, counted, loop), sock=made
        )
        try:
            yield service
        finally:
            listening.close()
            answering.end()
            await server.shutdown(GRACE_SECONDS)


@contextlib.asynccontextmanager
async def _answering_peers(service: HostService) -> AsyncIterator[None]:
    """Let peers in by TLS; one that is reached by a command starts its own process here."""
    host_file = service.host_file
    if not any(peer.address for peer in host_file.peers.values()):
        yield
        return
    async with listening(host_file, emptying=ServiceEmptying(service)):
        logger.info("%s answers its peers at %s", host_file.host.name, host_file.listen)
        yield
