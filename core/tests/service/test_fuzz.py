"""Whatever is asked, by the table of routes or against it, is answered, and never by a failure."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden.service import connection
from domwarden.service.answers import answers
from domwarden.service.api import ROUTES
from domwarden.service.routes import Route

from .serving import Client, Reply, request, served

NAMES = st.one_of(
    st.sampled_from(["web1", "web2", "..", ".", "", "a/b", "0123456789ab", "%2e%2e", "b"]),
    st.text(max_size=60),
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40), NAMES,
    st.sampled_from(["/nowhere/web1.yaml", "/dev/zero", "/", "web1", "b"]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4)
)


def body_of(route: Route) -> st.SearchStrategy[Any]:
    """Make bodies that are near to what a route takes, and others."""
    if route.body is None:
        return st.one_of(st.none(), VALUES)
    keys = [str(key.schema) for key in route.body()]
    near = st.dictionaries(st.sampled_from(keys) if keys else NAMES, LEAVES, max_size=4)
    return st.one_of(near, VALUES, st.binary(max_size=200))


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, str]:
    """Make a request of some route, more or less wrong; returns its method, too."""
    route = draw(st.sampled_from([one for one in ROUTES if one.follow is None]))
    parts = [quote(draw(NAMES), safe="") if p.startswith("{") else p for p in route.parts]
    query = draw(st.dictionaries(st.sampled_from(["to", "x"]), NAMES, max_size=2))
    path = "/" + "/".join(parts)
    if query:
        path += "?" + "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
    methods = st.sampled_from([route.method, "GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS"])
    method = draw(st.one_of(st.just(route.method), methods))
    body = draw(body_of(route))
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return request(method, path, body), method


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A service in a thread, whose domain no request of these names rightly."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    stack = contextlib.AsyncExitStack()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    patch = pytest.MonkeyPatch()
    patch.setattr(connection, "HEAD_SECONDS", 0.2)  # what is no whole head is not waited for
    patch.setattr(connection, "LINGER_SECONDS", 0.1)
    try:
        s = run(stack.enter_async_context(served(tmp_path_factory.mktemp("fuzz"))))
        client: Client = s.client
        yield lambda sent: run(client.raw(sent))
    finally:
        run(stack.aclose())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        patch.undo()


def check(reply: Reply, method: str) -> None:
    """An answer is what was asked for, or a problem as it is described."""
    assert reply.status < 500, reply
    assert reply.body.count(b"urn:domwarden") <= 1, reply
    if reply.status >= 400 and method != "HEAD":
        jsonschema.Draft202012Validator(answers()["Problem"]).validate(reply.data)
        assert reply.data["code"] == reply.code


@given(asked=requests())
def test_what_the_table_leads_to_is_answered(ask: Any, asked: tuple[bytes, str]) -> None:
    """Names, queries and bodies of any kind at every route."""
    sent, method = asked
    check(ask(sent), method)


@given(
    noise=st.binary(max_size=300),
    head=st.sampled_from([b"", b"GET ", b"GET /v1/health HTTP/1.1\r\n"]),
)
def test_noise_is_answered(ask: Any, noise: bytes, head: bytes) -> None:
    """Bytes that are no request, or the beginning of one."""
    reply = ask(head + noise + b"\r\n\r\n")
    check(reply, "GET")
