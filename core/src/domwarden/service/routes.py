"""What a route is: the one table that routes, validates and documents."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from domwarden.config import keys
from domwarden.config.schemas import Section, section
from domwarden.service.problems import ProblemError

if TYPE_CHECKING:
    from domwarden.service.asking import Asked
    from domwarden.service.host import HostService

#: What stands between braces in a path, and what it may be.
PARAMETERS: Mapping[str, tuple[str, str]] = {
    "domain": (keys.DOMAIN_NAME, keys.NAMED_DOMAIN),
    "migration": (r"[0-9a-f]{12}$(?!\n)", "expected 12 hexadecimal digits"),
    "operation": (r"[0-9a-f]{12}$(?!\n)", "expected 12 hexadecimal digits"),
}


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a route answers: plain data, or text of another type."""

    data: Any
    status: int = 200
    location: str = ""
    content_type: str = "application/json"


@dataclasses.dataclass(frozen=True)
class Event:
    """One server-sent event; a ``number`` above 0 is what a caller may go on from."""

    kind: str
    data: Any
    number: int = 0


@dataclasses.dataclass(frozen=True)
class Route:
    """One method of one path.

    ``act`` answers, or ``follow`` returns events until there are no more. ``body`` and ``query``
    make voluptuous schemas. ``codes`` are the problems that only this route has.
    """

    method: str
    path: str
    summary: str
    act: Callable[[HostService, Asked], Awaitable[Answer]] | None = None
    follow: Callable[[HostService, Asked], Awaitable[AsyncIterator[Event]]] | None = None
    body: Callable[[], dict[Any, Any]] | None = None
    query: Callable[[], dict[Any, Any]] = dict
    status: int = 200
    #: The name of what it answers among the document's schemas.
    answers: str = ""
    many: bool = False
    codes: tuple[str, ...] = ()

    @functools.cached_property
    def parts(self) -> tuple[str, ...]:
        """The path's segments."""
        return tuple(self.path.removeprefix("/").split("/"))

    @functools.cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path's braces."""
        return tuple(part[1:-1] for part in self.parts if part.startswith("{"))

    @functools.cached_property
    def body_section(self) -> Section | None:
        """The compiled schema of the body."""
        return section(self.body(), "domwarden") if self.body is not None else None

    @functools.cached_property
    def query_section(self) -> Section:
        """The compiled schema of the query."""
        return section(self.query(), "domwarden")


def find(routes: Sequence[Route], method: str, path: Sequence[str]) -> tuple[Route, dict[str, str]]:
    """Return the route of a request and what the braces in its path stand for.

    Raises ProblemError.
    """
    here = [(route, _match(route, path)) for route in routes]
    found = [(route, values) for route, values in here if values is not None]
    if not found:
        raise ProblemError("no-such-path", "no path of the API has this form")
    wanted = "GET" if method == "HEAD" else method
    for route, values in found:
        if route.method == wanted:
            return route, _checked(values)
    allowed = sorted({route.method for route, _ in found})
    raise ProblemError("wrong-method", f"this path takes {' and '.join(allowed)}", allowed=allowed)


def _match(route: Route, path: Sequence[str]) -> dict[str, str] | None:
    if len(path) != len(route.parts):
        return None
    values = {}
    for part, given in zip(route.parts, path, strict=True):
        if part.startswith("{"):
            values[part[1:-1]] = given
        elif part != given:
            return None
    return values


def _checked(values: dict[str, str]) -> dict[str, str]:
    for name, value in values.items():
        pattern, expected = PARAMETERS[name]
        if not keys.matches(pattern, value):
            raise ProblemError("bad-request", f"the path names no {name}: {expected}")
    return values
