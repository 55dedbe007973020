"""The one module that speaks to ``xl``: argument lists, time-outs, what it prints as data."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import re
import signal
from collections.abc import Mapping
from typing import Any

from domwarden.contract import EngineError, OutcomeUnknownError

#: ``xl`` answers a question in well under a second; a loaded dom0 needs more.
ASK_SECONDS = 20.0
#: Building a domain, or taking one apart, moves all of its memory.
CHANGE_SECONDS = 90.0
#: What a daemon that ``xl`` left behind may keep our pipes open after its end.
_DRAIN_SECONDS = 1.0

#: ``domain_shutdown`` codes (Xen's public sched.h, SHUTDOWN_*).
POWEROFF, REBOOT, SUSPEND, CRASH, WATCHDOG, SOFT_RESET = range(6)

_ROW = re.compile(
    r"^(?P<name>.*?)\s+(?P<domid>\d+)\s+(?P<memory>\d+)\s+(?P<vcpus>\d+)\s+(?P<flags>[a-z?-]{6})"
    r"\s+(?P<seconds>\d+\.\d)\s+(?P<uuid>[0-9a-f-]{36})\s+(?P<reason>-|\d+)\s+(?P<label>\S+)\s*$"
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of ``xl list -v``; ``reason`` is the shut-down code, None while there is none.

    Each of the six ``flags`` has its place: running, blocked, paused, shut down, the shut-down code
    as a letter (``-rscw`` from 0 to 4), dying.
    """

    name: str
    domid: int
    flags: str
    uuid: str
    memory_mib: int = 0
    vcpus: int = 0
    reason: int | None = None

    @property
    def paused(self) -> bool:
        """An operator, or whoever built it, holds it (``p``)."""
        return self.flags[2] == "p"

    @property
    def shut_down(self) -> bool:
        """It ended, or it suspended itself (``s``); ``reason`` says which."""
        return self.flags[3] == "s"

    @property
    def dying(self) -> bool:
        """It is being taken apart (``d``)."""
        return self.flags[5] == "d"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one ``xl`` said, and how it ended."""

    status: int
    output: str
    errors: str


class Xl:
    """``xl`` on this host; every method is bounded in time.

    All raise EngineError when it says no or cannot be run, OutcomeUnknownError when it is silent
    or was killed: it may have acted then.
    """

    def __init__(self, binary: str = "xl") -> None:
        self.binary = binary

    def command(self, *arguments: str) -> list[str]:
        """Return the argument list for a process that somebody else runs and keeps."""
        return [self.binary, *arguments]

    async def run(
        self,
        *arguments: str,
        timeout_seconds: float = ASK_SECONDS,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Run it and return what it printed."""
        answer = await self.try_run(
            *arguments, timeout_seconds=timeout_seconds, environment=environment
        )
        if answer.status:
            raise EngineError(
                f"xl {arguments[0]}: {last_words(answer.errors) or f'exit {answer.status}'}",
                command=" ".join(self.command(*arguments)),
            )
        return answer.output

    async def try_run(
        self,
        *arguments: str,
        timeout_seconds: float = ASK_SECONDS,
        environment: Mapping[str, str] | None = None,
    ) -> Answer:
        """Run it and return its answer, also when it says no."""
        command = self.command(*arguments)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
                | dict(environment or {}),
                start_new_session=True,
            )
        except OSError as error:
            raise EngineError(
                f"{self.binary}: {error.strerror}",
                command=" ".join(command),
                hint="is Xen's toolstack installed, and drivers.xen.xl its path?",
            ) from error
        talk = asyncio.create_task(_talk(process), name=f"xl/{arguments[0]}")
        try:
            async with asyncio.timeout(timeout_seconds):
                output, errors = await asyncio.shield(talk)
        except TimeoutError:
            raise OutcomeUnknownError(
                f"xl {arguments[0]}: silent for {timeout_seconds:g} s; killed",
                command=" ".join(command),
            ) from None
        finally:
            if not talk.done():
                # One that goes on after we gave up would act behind the back of whoever is next.
                _kill(process)
                talk.cancel()
                await asyncio.gather(talk, process.wait(), return_exceptions=True)
        status = process.returncode if process.returncode is not None else -1
        if status < 0:
            raise OutcomeUnknownError(
                f"xl {arguments[0]}: ended by signal {-status}", command=" ".join(command)
            )
        return Answer(status, output, errors)

    async def rows(self) -> list[Row]:
        """Return every domain on this host, half-made and dying ones too."""
        return parse_rows(await self.run("list", "-v"))

    async def configuration(self, domid: int) -> Mapping[str, Any]:
        """Return what xl keeps about one domain (``xl list -l``)."""
        answer = json.loads(await self.run("list", "-l", str(domid)))
        entries = answer if isinstance(answer, list) else [answer]
        for entry in entries:
            if entry.get("domid") == domid:
                return dict(entry)
        raise EngineError(f"xl list -l {domid}: it is not in the answer")

    async def info(self) -> dict[str, str]:
        """Return ``xl info`` by its own keys."""
        pairs = (line.partition(":") for line in (await self.run("info")).splitlines())
        return {key.strip(): value.strip() for key, colon, value in pairs if colon}

    async def pause(self, domid: int) -> None:
        """Stop its processors (one more time: Xen counts)."""
        await self.run("pause", str(domid))

    async def unpause(self, domid: int) -> None:
        """Let it run.  It exits 0 on a suspended domain, too, and does nothing: look afterwards."""
        await self.run("unpause", str(domid))

    async def destroy(self, domid: int) -> None:
        """End it at once, and see xl take it apart."""
        await self.run("destroy", str(domid), timeout_seconds=CHANGE_SECONDS)

    async def shutdown(self, domid: int) -> None:
        """Ask the guest to shut down; by its own driver, else by the ACPI button (``-F``)."""
        await self.run("shutdown", "-F", str(domid))

    async def rename(self, domid: int, name: str) -> None:
        """Give it another name."""
        await self.run("rename", str(domid), name)

    async def trigger(self, domid: int, what: str) -> None:
        """Send it an ``nmi``, or press a button (``power``, ``sleep``)."""
        await self.run("trigger", str(domid), what)

    async def dump_core(self, domid: int, path: str, timeout_seconds: float) -> None:
        """Write its memory to a file."""
        await self.run("dump-core", str(domid), path, timeout_seconds=timeout_seconds)

    async def create(self, config: str, environment: Mapping[str, str], *, held: bool) -> None:
        """Make the domain of a configuration file; ``held`` leaves it paused.

        xl forks a monitor that stays; it inherits ``environment``, and is found by it.
        """
        flags = ["-p"] if held else []
        await self.run(
            "create", *flags, config, timeout_seconds=CHANGE_SECONDS, environment=environment
        )


def parse_rows(text: str) -> list[Row]:
    """Return the rows of ``xl list -v``; raises EngineError for a line that is none."""
    rows: list[Row] = []
    for line in text.splitlines()[1:]:
        match = _ROW.match(line)
        if match is None:
            raise EngineError(f"xl list -v: a line that nobody knows: {line!r}")
        reason = match["reason"]
        rows.append(
            Row(
                name=match["name"],
                domid=int(match["domid"]),
                flags=match["flags"],
                uuid=match["uuid"],
                memory_mib=int(match["memory"]),
                vcpus=int(match["vcpus"]),
                reason=None if reason == "-" else int(reason),
            )
        )
    return rows


def last_words(errors: str) -> str:
    """Return the last two lines that xl wrote, as one: libxl gives the reason, xl gives it up."""
    return "; ".join(errors.strip().splitlines()[-2:])


async def _talk(process: asyncio.subprocess.Process) -> tuple[str, str]:
    streams = [stream for stream in (process.stdout, process.stderr) if stream is not None]
    parts = [bytearray(), bytearray()]

    async def read(stream: asyncio.StreamReader, into: bytearray) -> None:
        while chunk := await stream.read(65536):
            into += chunk

    reading = [
        asyncio.create_task(read(stream, part), name="xl/read")
        for stream, part in zip(streams, parts, strict=True)
    ]
    try:
        await process.wait()
        await asyncio.wait(reading, timeout=_DRAIN_SECONDS)
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    return parts[0].decode(errors="replace"), parts[1].decode(errors="replace")


def _kill(process: asyncio.subprocess.Process) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended by itself in this moment
