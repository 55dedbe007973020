"""The supervisor as a process, one a domain: ``python -m domwarden.watchdog.process``."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator

from domwarden.contract import ConflictError, Domain, Expiry, Host, in_scope
from domwarden.journal import Journal
from domwarden.journal.lock import DomainLock
from domwarden.plugins import Kind, load, open_room
from domwarden.watchdog.supervisor import HERE, supervise
from domwarden.watchdog.telling import tell_devices

#: How often a supervisor that must act asks for the domain's lock while another process holds it.
TURN_SECONDS = 0.2


def ensure(host: Host, name: str) -> None:
    """Start the domain's supervisor unless one is alive; it ends when the domain leaves."""
    lock = _lock(host, name)
    if lock is None:
        return
    os.close(lock)  # only asked; the new process takes it, and a second one would end at once
    request = {"name": name, "host": host.as_json()}
    with (host.domain_directory(name) / "supervisor.log").open("ab") as log:
        command = [sys.executable, "-m", "domwarden.watchdog.process", json.dumps(request)]
        process = subprocess.Popen(  # returns at once; the child only has to be forked
            in_scope(command, f"supervisor of {name}"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    process.returncode = 0  # it outlives us on purpose: no ResourceWarning, no zombie to wait for


def _lock(host: Host, name: str) -> int | None:
    """Return the held lock of the domain's supervisor, or None when somebody holds it."""
    directory = host.domain_directory(name)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(directory / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


async def _main(host: Host, name: str) -> None:
    async with Journal(host.state_directory) as journal:
        record = await journal.domain(name)
        if record is None or record.definition is None:
            return
        definition = record.definition
        driver = load(Kind.ENGINE, definition.engine)
        engine = driver.cls(host)
        room = open_room(definition, host, engine)
        domain = Domain(definition, host, running=True, controls=lambda p: engine.control(name, p))

        async def tell(expiry: Expiry) -> None:
            await tell_devices(room, domain, expiry)

        await supervise(engine, journal, definition, tell, lambda: _turn(host, name))


@contextlib.asynccontextmanager
async def _turn(host: Host, name: str) -> AsyncIterator[None]:
    """Hold the domain's lock, as soon as whoever has it is done."""
    lock = DomainLock(host.state_directory, name)
    while not lock.held:
        try:
            lock.acquire()
        except ConflictError:
            await asyncio.sleep(TURN_SECONDS)
    with lock:
        yield


async def _is_here(host: Host, name: str) -> bool:
    async with Journal(host.state_directory) as journal:
        record = await journal.domain(name)
    if record is None or record.definition is None:
        return False
    engine = load(Kind.ENGINE, record.definition.engine).cls(host)
    return (await engine.observe(name)).state in HERE


def main() -> None:
    """Supervise the domain that the request on the command line names."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    request = json.loads(sys.argv[1])
    host = Host.from_json(request["host"])
    with contextlib.suppress(KeyboardInterrupt):
        while (lock := _lock(host, request["name"])) is not None:
            asyncio.run(_main(host, request["name"]))
            os.close(lock)
            # A start that found the lock still held relies on us: look again without it.
            if not asyncio.run(_is_here(host, request["name"])):
                return


if __name__ == "__main__":
    main()
