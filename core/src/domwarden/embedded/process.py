"""The process in which a host's embedded domains live: ``python -m domwarden.embedded.process``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domwarden.contract import Definition, DomwardenError, EngineError, Host, Room
from domwarden.embedded import wire
from domwarden.embedded.clock import RealClock
from domwarden.embedded.engine import EmbeddedEngine
from domwarden.embedded.hypervisor import Hypervisor
from domwarden.embedded.process_service import ProcessService
from domwarden.embedded.service import Call
from domwarden.embedded.sockets import listen_unix
from domwarden.plugins import open_room

LOG = logging.getLogger(__name__)
#: How long one that is about to end may take to do so.
PREDECESSOR_SECONDS = 10.0


def open_lock(path: Path) -> int:
    """Open a lock file; the descriptor's end releases the lock."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(descriptor: int) -> bool:
    """Take the lock if it is free."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Server:
    """Answers the engines of one host until it has had nothing to do for a while."""

    def __init__(self, state_directory: Path, idle_seconds: float) -> None:
        self._state_directory = state_directory
        self._idle_seconds = idle_seconds
        self._hypervisor = Hypervisor(RealClock())
        self._service = ProcessService(self._hypervisor, state_directory)
        self._connections = 0
        self._idle_since: float | None = None
        self._ending = False

    async def run(self) -> None:
        """Serve; returns when the process may end."""
        folder = wire.directory(self._state_directory)
        launch = open_lock(folder / "launch.lock")
        sock = await listen_unix(wire.socket_path(self._state_directory))
        server = await asyncio.start_unix_server(self._serve, sock=sock, limit=wire.LIMIT_BYTES)
        async with server:
            while True:
                await asyncio.sleep(min(1.0, self._idle_seconds / 4))
                # whoever launches holds the lock: then it is not the moment to go
                if self._idle() and try_lock(launch):
                    self._ending = True
                    break
        await asyncio.to_thread(wire.socket_path(self._state_directory).unlink, missing_ok=True)
        os.close(launch)

    def _idle(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._connections or self._hypervisor.count:
            self._idle_since = None
            return False
        if self._idle_since is None:
            self._idle_since = now
        return now - self._idle_since >= self._idle_seconds

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._ending:  # without the greeting the engine knows that nothing was done
            writer.close()
            return
        self._connections += 1
        try:
            writer.write(wire.line(wire.GREETING))
            request = await reader.readline()
            if request:
                await self._answer(json.loads(request), reader, writer)
        except ConnectionError:
            LOG.debug("an engine left")  # it only wanted to see whether we are here, or died
        except (OSError, ValueError):
            LOG.exception("a connection failed")
        finally:
            self._connections -= 1
            writer.close()

    async def _answer(
        self,
        request: Mapping[str, Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        def note(data: Mapping[str, Any]) -> None:
            if not writer.is_closing():
                writer.write(wire.line({"note": data}))

        host = Host.from_json(request["host"])
        call = Call(host, request["method"], request["arguments"], note, self._room)
        task = asyncio.create_task(self._service.call(call), name=f"call/{call.method}")
        if call.method == "events":  # ends with its listener; every other call is carried through
            listener = asyncio.create_task(reader.read(), name="call/listener")
            await asyncio.wait({task, listener}, return_when=asyncio.FIRST_COMPLETED)
            listener.cancel()
            if not task.done():
                task.cancel()
        answer: dict[str, Any]
        try:
            answer = {"result": await task}
        except DomwardenError as error:
            answer = {"error": wire.error_as_json(error)}
        except asyncio.CancelledError:
            return
        except Exception as error:
            LOG.exception("%s failed", call.method)
            what = f"the embedded hypervisor failed: {type(error).__name__}: {error}"
            answer = {"error": wire.error_as_json(EngineError(what, command=call.method))}
        with contextlib.suppress(OSError):
            writer.write(wire.line(answer))
            await writer.drain()

    def _room(self, definition: Definition, host: Host) -> Room:
        return open_room(definition, host, EmbeddedEngine(host, self._hypervisor))


def main() -> None:
    """Serve one host's state directory, where no other process does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("state_directory", type=Path)
    parser.add_argument("--idle-seconds", type=float, required=True)
    parser.add_argument("--detach", action="store_true", help="go on in the background")
    arguments = parser.parse_args()
    if arguments.detach and os.fork():
        os._exit(0)  # nobody waits for the child: init reaps it
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    alive = open_lock(wire.directory(arguments.state_directory) / "alive.lock")
    for _ in range(round(PREDECESSOR_SECONDS / 0.05)):
        if try_lock(alive):
            asyncio.run(Server(arguments.state_directory, arguments.idle_seconds).run())
            return
        time.sleep(0.05)
    LOG.error("another process keeps %s", arguments.state_directory)
    sys.exit(1)


if __name__ == "__main__":
    main()
