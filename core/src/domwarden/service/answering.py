"""Answers one request by the table of routes; whatever goes wrong is a problem."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiohttp import web

from domwarden.contract import DomwardenError
from domwarden.service.asking import (
    Asked,
    caller_of,
    last_event_of,
    read_body,
    read_query,
    segments,
)
from domwarden.service.connection import Connection, problem_response
from domwarden.service.host import HostService
from domwarden.service.problems import ProblemError, problem_of
from domwarden.service.routes import Answer, Event, Route, find

logger = logging.getLogger(__name__)

#: A follower that hears nothing is told so at this pace: a dead one is found out thereby.
HEARTBEAT_SECONDS = 15.0
#: A follower that does not read is left.
WRITE_SECONDS = 10.0


class Answering:
    """Answers requests until it is told to end."""

    def __init__(self, service: HostService, routes: Sequence[Route]) -> None:
        self._service = service
        self._routes = routes
        self._ending = asyncio.Event()

    def end(self) -> None:
        """End what followers hear; new requests are turned away."""
        self._ending.set()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.begin()
        try:
            response = await self._answer(request)
        except ProblemError as problem:
            response = _told(problem)
        except DomwardenError as error:
            response = _told(problem_of(error))
        except Exception:
            logger.exception("%s %s failed", request.method, request.rel_url.raw_path)
            response = _told(ProblemError("internal", "see the service's log"))
        finally:
            connection.end()
        response.force_close()
        self._service.metrics.answered(response.status)
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._ending.is_set():
            raise ProblemError("stopping", "ask again in a moment", hint="it is being restarted")
        path = segments(request.rel_url.raw_path)
        route, values = find(self._routes, request.method, path)
        asked = Asked(
            path=values,
            query=read_query(request.rel_url.raw_query_string, route.query_section),
            body=await read_body(request, route.body_section),
            caller=caller_of(request),
            last_event=last_event_of(request),
        )
        if route.follow is not None:
            return await self._stream(request, await route.follow(self._service, asked))
        assert route.act is not None
        return await _response(await route.act(self._service, asked))

    async def _stream(
        self, request: web.BaseRequest, events: AsyncIterator[Event]
    ) -> web.StreamResponse:
        """Send events until there are no more, the service ends, or nobody reads them.

        https://html.spec.whatwg.org/multipage/server-sent-events.html
        """
        iterator = aiter(events)
        # Before the head is sent: whoever has read that misses nothing.
        coming = asyncio.create_task(_next(iterator), name=f"follow {request.rel_url.raw_path}")
        ending = asyncio.create_task(self._ending.wait(), name="follow/ending")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        response.force_close()
        try:
            await asyncio.sleep(0)
            await response.prepare(request)
            if request.method == "HEAD":
                return response
            while not ending.done():
                both: set[asyncio.Task[Any]] = {coming, ending}
                await asyncio.wait(
                    both, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                event = coming.result() if coming.done() else None
                if coming.done() and event is None:
                    break
                async with asyncio.timeout(WRITE_SECONDS):
                    await response.write(_encoded(event))
                if coming.done():
                    coming = asyncio.create_task(_next(iterator), name=coming.get_name())
        except (ConnectionError, TimeoutError):
            pass  # nobody reads the events
        finally:
            for task in (coming, ending):
                task.cancel()
            await asyncio.gather(coming, ending, return_exceptions=True)
        return response


async def _next(events: AsyncIterator[Event]) -> Event | None:
    return await anext(events, None)


def _encoded(event: Event | None) -> bytes:
    if event is None:
        return b": nothing new\n\n"
    lines = [f"event: {event.kind}", f"data: {json.dumps(event.data, default=str)}"]
    if event.number:
        lines.insert(0, f"id: {event.number}")
    return ("\n".join(lines) + "\n\n").encode()


async def _response(answer: Answer) -> web.Response:
    if isinstance(answer.data, str):
        text = answer.data
    else:  # a thousand domains take the loop's time that others wait for
        text = await asyncio.to_thread(json.dumps, answer.data, default=str)
    headers = {"Content-Type": answer.content_type, "Cache-Control": "no-store"}
    if answer.location:
        headers["Location"] = answer.location
    return web.Response(body=text.encode(), status=answer.status, headers=headers)


def _told(problem: ProblemError) -> web.Response:
    allowed = problem.more.get("allowed")
    return problem_response(problem, **({"Allow": ", ".join(allowed)} if allowed else {}))
