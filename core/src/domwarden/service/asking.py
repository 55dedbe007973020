"""What a request says: its path, its query and its body, read within limits."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qsl, unquote_to_bytes

from domwarden.config.schemas import Section
from domwarden.service.problems import ProblemError

if TYPE_CHECKING:
    from aiohttp.web import BaseRequest

#: No body of the API is larger than a few paths and names.
BODY_BYTES = 64 * 1024
#: A body that takes longer is not waited for.
BODY_SECONDS = 10.0
#: The most query parameters, and mistakes that are told at once.
MOST = 32


@dataclasses.dataclass(frozen=True)
class Asked:
    """One request, validated: path and query by name, the body as its schema made it."""

    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Mapping[str, Any]
    #: Who asks, for the one who meets a conflict with it.
    caller: str
    #: The number of the last event that the caller has seen, 0 for none.
    last_event: int = 0


def segments(raw_path: str) -> list[str]:
    """Take a path apart; an escaped slash stays inside its segment."""
    found = []
    for raw in raw_path.removeprefix("/").split("/"):
        try:
            found.append(unquote_to_bytes(raw).decode())
        except UnicodeError:
            raise ProblemError("bad-request", "the path is not UTF-8") from None
    return found


def read_query(raw: str, section: Section) -> dict[str, Any]:
    """Return the validated query parameters."""
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=MOST, errors="strict")
    except ValueError:
        raise ProblemError("bad-request", "the query cannot be read") from None
    if len(dict(pairs)) != len(pairs):
        raise ProblemError("bad-request", "a query parameter is given twice")
    return validate(dict(pairs), section, "query")


async def read_body(request: BaseRequest, section: Section | None) -> dict[str, Any]:
    """Return the validated body; what a route without one is sent is not read."""
    if section is None:
        return {}
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise ProblemError("wrong-type", "a body may not be compressed")
    if request.content_type != "application/json":
        raise ProblemError("wrong-type", "send the body as application/json")
    if (request.content_length or 0) > BODY_BYTES:
        _too_large()
    return validate(_parse(await _bytes(request)), section, "body")


async def _bytes(request: BaseRequest) -> bytes:
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while chunk := await request.content.readany():
                data += chunk
                if len(data) > BODY_BYTES:
                    _too_large()
    except TimeoutError:
        raise ProblemError("too-slow", f"no whole body came in {BODY_SECONDS:g} s") from None
    except ProblemError:
        raise
    except Exception as error:
        # What a broken chunk raises differs between the library's versions; a bug of ours cannot be
        # in here.
        raise ProblemError("bad-request", "the body cannot be read") from error
    return bytes(data)


def _too_large() -> NoReturn:
    raise ProblemError("too-large", f"a body has at most {BODY_BYTES} bytes")


def _parse(data: bytes) -> Any:
    try:
        return json.loads(data.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise ProblemError("bad-request", "the body is nested too deeply") from None
    except ValueError as error:
        raise ProblemError("bad-request", f"the body is no JSON: {error}"[:300]) from None


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def validate(data: Any, section: Section, where: str) -> dict[str, Any]:
    """Return what a schema makes of the data; raises ProblemError with every mistake."""
    import voluptuous  # here, because `domwarden --help` must not pay for it

    try:
        valid: dict[str, Any] = section.validate(data)
    except voluptuous.MultipleInvalid as errors:
        problems = [
            {"path": ".".join(_shown(part) for part in one.path), "what": one.error_message}
            for one in errors.errors[:MOST]
        ]
        told = "; ".join(f"{p['path'] or where}: {p['what']}" for p in problems[:3])
        raise ProblemError("invalid", told, problems=problems) from None
    return valid


def _shown(part: object) -> str:
    return str(part).encode(errors="replace").decode()[:100]


def caller_of(request: BaseRequest) -> str:
    """Say which process asks (SO_PEERCRED, unix(7))."""
    transport = request.transport
    made = transport.get_extra_info("socket") if transport is not None else None
    if made is None:
        return "somebody who has left"
    try:
        raw = made.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:
        return "somebody"
    pid, uid, _ = struct.unpack("3i", raw)
    return f"process {pid} of user {uid}"


def last_event_of(request: BaseRequest) -> int:
    """Return the number in Last-Event-ID, 0 where there is none that can be one."""
    said = request.headers.get("Last-Event-ID", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 19 else 0
