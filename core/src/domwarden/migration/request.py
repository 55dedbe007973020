"""Has a process of its own drive a move, and follows it."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domwarden.contract import BrokenError, DomwardenError, Host
from domwarden.migration.link import error_as_json, error_from_json
from domwarden.migration.moments import Moment, Observer
from domwarden.migration.outcome import Moved, MoveFailedError, Restored, Saved, Settled
from domwarden.migration.spare import PROGRAM, Spare

if TYPE_CHECKING:
    from domwarden.config import HostFile, Peer

#: A driver that says nothing for so long is not waited for; it goes on all the same.
SILENCE_SECONDS = 3600.0
#: The longest line a driver writes: a moment with some data.
LINE_LIMIT_BYTES = 4 * 1024 * 1024


class Verb(enum.StrEnum):
    """What a driver process can be asked for."""

    UNKNOWN = "unknown"
    MIGRATE = "migrate"
    SAVE = "save"
    RESTORE = "restore"


Result = Moved | Saved | Restored


@dataclasses.dataclass(frozen=True)
class Request:
    """One move for a driver process; ``migration`` is its id where the caller has chosen one."""

    host_file: HostFile
    verb: Verb
    domain: str = ""
    peer: str = ""
    path: Path | None = None
    fenced: tuple[str, ...] = ()
    migration: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the request as plain data."""
        return {
            "host": self.host_file.host.as_json(),
            "peers": {name: _peer_as_json(peer) for name, peer in self.host_file.peers.items()},
            "verb": self.verb,
            "domain": self.domain,
            "peer": self.peer,
            "path": str(self.path.absolute()) if self.path is not None else None,
            "fenced": list(self.fenced),
            "migration": self.migration,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Request:
        """Rebuild a request from what :meth:`as_json` returned."""
        from domwarden.config import HostFile  # here: voluptuous costs start-up time

        peers = {name: _peer_from_json(name, peer) for name, peer in data["peers"].items()}
        return cls(
            host_file=HostFile(Host.from_json(data["host"]), peers),
            verb=Verb(data["verb"]),
            domain=data["domain"],
            peer=data["peer"],
            path=Path(data["path"]) if data["path"] is not None else None,
            fenced=tuple(data["fenced"]),
            migration=data["migration"],
        )


def _peer_as_json(peer: Peer) -> dict[str, Any]:
    config = str(peer.config.absolute()) if peer.config is not None else None
    return {
        "config": config,
        "command": list(peer.command),
        "silence_seconds": peer.silence_seconds,
        "address": str(peer.address) if peer.address is not None else None,
    }


def _peer_from_json(name: str, data: Mapping[str, Any]) -> Peer:
    from domwarden.config import Address, Peer  # as above

    config = Path(data["config"]) if data["config"] is not None else None
    address = Address.parse(data["address"]) if data["address"] is not None else None
    return Peer(name, config, tuple(data["command"]), data["silence_seconds"], address)


_RESULTS: Mapping[str, type[Result]] = {"moved": Moved, "saved": Saved, "restored": Restored}


def last_word(result: Result | BaseException) -> dict[str, Any]:
    """Return how a move ended as plain data."""
    if isinstance(result, MoveFailedError):
        cause = result.cause
        if not isinstance(cause, DomwardenError):
            cause = DomwardenError(f"{type(cause).__name__}: {cause}")
        return {"failed": error_as_json(cause), "settled": result.settled.as_json()}
    if isinstance(result, DomwardenError):
        return {"error": error_as_json(result)}
    if isinstance(result, BaseException):
        return {"error": error_as_json(DomwardenError(f"{type(result).__name__}: {result}"))}
    name = next(name for name, cls in _RESULTS.items() if isinstance(result, cls))
    return {"result": name, "data": result.as_json()}


def read_last_word(word: Mapping[str, Any]) -> Result:
    """Return or raise what a driver's last word says."""
    if "failed" in word:
        raise MoveFailedError(error_from_json(word["failed"]), Settled.from_json(word["settled"]))
    if "error" in word:
        raise error_from_json(word["error"])
    data = dict(word["data"])
    data["alarms"] = tuple(data["alarms"])
    if "path" in data:
        data["path"] = Path(data["path"])
    return _RESULTS[word["result"]](**data)


async def drive(
    request: Request,
    observer: Observer,
    *,
    spare: Spare | None = None,
    program: Sequence[str] = PROGRAM,
) -> Result:
    """Have a driver do it, hand on what it tells, and return or raise its last word.

    That is the spare one if it waits, else one that is started now. Cancelling the caller leaves
    the driver to finish the move by itself.
    """
    if spare is not None and spare.alive:
        driver = spare
    else:
        if spare is not None:
            spare.discard()
        driver = await asyncio.to_thread(Spare.start, program)
    reader = asyncio.StreamReader(limit=LINE_LIMIT_BYTES)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), driver.output
    )
    try:
        await asyncio.to_thread(driver.tell, request.as_json())
        return read_last_word(await _follow(reader, observer))
    finally:
        transport.close()


async def _follow(reader: asyncio.StreamReader, observer: Observer) -> Mapping[str, Any]:
    """Hand moments on until the last word, after which the driver only tidies up."""
    while True:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                line = await reader.readline()
        except TimeoutError:
            raise BrokenError(
                "the process that drives the move says nothing",
                hint="see `domwarden status`; it holds the domain's lock while it lives",
            ) from None
        if not line:
            raise BrokenError(
                "the process that drove the move died, and so did its watcher",
                hint="run `domwarden recover`",
            )
        said: Mapping[str, Any] = json.loads(line)
        if "moment" not in said:
            return said
        observer(Moment.from_json(said["moment"]))
