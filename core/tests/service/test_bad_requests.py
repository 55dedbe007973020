"""Bad input is answered with a problem, soon, and costs nothing."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from domwarden.service import answering, asking, connection
from domwarden.service.connection import Gate
from domwarden.service.routes import Event

from .serving import SLOW, parse, request, served

HEAD = b"POST /v1/recover HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def with_body(data: bytes, more: bytes = b"") -> bytes:
    return HEAD + more + b"Content-Length: %d\r\n\r\n" % len(data) + data


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(b"nonsense\r\n\r\n", "bad-request", id="no HTTP"),
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", "bad-request", id="another version"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\r\n\r\n", "bad-request", id="TLS"),
        pytest.param(b"GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n", "bad-request", id="no UTF-8"),
        pytest.param(b"G\x00T / HTTP/1.1\r\nHost: x\r\n\r\n", "bad-request", id="NUL in it"),
        pytest.param(request("PATCH", "/v1/health"), "wrong-method", id="wrong method"),
        pytest.param(request("BREW", "/v1/health"), "bad-request", id="unknown method"),
        pytest.param(request("GET", "/v1/health?x=1"), "invalid", id="unknown parameter"),
        pytest.param(request("GET", "/v1/domains/web1/plan"), "invalid", id="missing parameter"),
        pytest.param(request("GET", "/v1/health?" + "a=1&" * 99), "bad-request", id="many"),
        pytest.param(request("GET", "/v1/domains/web1/plan?to=b&to=c"), "bad-request", id="twice"),
        pytest.param(request("GET", "/v1/domains/.."), "bad-request", id="dots"),
        pytest.param(request("GET", "/v1/domains/..%2f..%2fetc"), "bad-request", id="escaped path"),
        pytest.param(request("GET", "/v1/domains/web1%00"), "bad-request", id="NUL in a name"),
        pytest.param(request("GET", "/v1/domains/web1%0a"), "bad-request", id="line in a name"),
        pytest.param(request("GET", "/v1/domains/" + "a" * 49), "bad-request", id="long name"),
        pytest.param(request("GET", "/v1/domains/a/b/c/d"), "no-such-path", id="long path"),
        pytest.param(request("GET", "//v1//health"), "no-such-path", id="double slashes"),
        pytest.param(with_body(b"{"), "bad-request", id="broken JSON"),
        pytest.param(with_body(b"[" * 60000), "bad-request", id="deep JSON"),
        pytest.param(with_body(b'{"a": ' * 9000), "bad-request", id="deep objects"),
        pytest.param(with_body(b"9" * 60000), "bad-request", id="long number"),
        pytest.param(with_body(b"NaN"), "bad-request", id="no number"),
        pytest.param(with_body(b'{"a": 1, "a": 2}'), "bad-request", id="name twice"),
        pytest.param(with_body(b"\xff\xfe"), "bad-request", id="body no UTF-8"),
        pytest.param(with_body(b""), "bad-request", id="no body"),
        pytest.param(with_body(b"[]"), "invalid", id="a list"),
        pytest.param(with_body(b'{"\\ud800": 1}'), "invalid", id="half a character"),
        pytest.param(with_body(b"{}", b"Content-Encoding: br\r\n"), "wrong-type", id="packed"),
        pytest.param(request("POST", "/v1/recover"), "wrong-type", id="no type"),
        pytest.param(with_body(b" " * 65537), "too-large", id="large body"),
        pytest.param(with_body(b" " * 1000000), "too-large", id="huge body"),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n%s\r\n" % (b" " * 4096) * 20,
            "too-large", id="large chunks",
        ),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "bad-request", id="broken chunk"
        ),
        pytest.param(
            HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "bad-request", id="two lengths",
        ),
        pytest.param(HEAD + b"Content-Length: -1\r\n\r\n", "bad-request", id="negative length"),
        pytest.param(HEAD + b"X: " + b"y" * 9000 + b"\r\n\r\n", "large-headers", id="long header"),
        pytest.param(
            b"GET /" + b"y" * 9000 + b" HTTP/1.1\r\n\r\n", "large-headers", id="long path line"
        ),
    ],
)  # fmt: skip
async def test_bad_input_gets_a_problem(tmp_path: Path, sent: bytes, code: str) -> None:
    async with served(tmp_path) as s:
        assert (await s.client.raw(sent)).code == code
        assert (await s.client.get("/v1/health")).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"path": 1},
        {"path": "web1.yaml"},
        {"path": ""},
        {"path": "/a\x00b"},
        {"path": "/a\nb"},
        {"path": "/" + "a" * 5000},
        {"path": ["/a"]},
        {"path": "/a", "paused": 1},
        {"path": "/a", "paused": "yes"},
        {"path": "/a", "fenced": "b"},
        {"path": "/a", "fenced": ["../b"]},
        {"path": "/a", "fenced": ["b"] * 65},
        {"path": "/a", "more": None},
        [],
        None,
        "start",
    ],
)
async def test_wrong_values_are_all_named(tmp_path: Path, body: object) -> None:
    async with served(tmp_path) as s:
        data = b"null" if body is None else body
        reply = await s.client.post("/v1/domains", data)
        assert reply.code == "invalid"
        assert reply.data["problems"]


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/stdin", "/", "/proc/self/mem", "/a" * 1900])
async def test_a_file_that_is_none_is_a_problem(tmp_path: Path, path: str) -> None:
    async with served(tmp_path) as s:
        assert (await s.client.post("/v1/domains", {"path": path})).code == "wrong-file"
        reply = await s.client.post("/v1/restores", {"path": path})
        assert 400 <= reply.status < 500


async def test_many_headers_end_before_they_fill_memory(tmp_path: Path) -> None:
    async with served(tmp_path) as s:
        lines = b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(500))
        reply = await s.client.raw(b"GET /v1/health HTTP/1.1\r\n" + lines)
        assert reply.code in {"large-headers", "bad-request"}


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /v1/hea", b"GET /v1/health HTTP/1.1\r\nHost", with_body(b"{}")[:-1]],
    ids=["nothing", "half a line", "half a head", "half a body"],
)
async def test_who_is_slow_is_answered_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.05)
    monkeypatch.setattr(asking, "BODY_SECONDS", 0.05)
    monkeypatch.setattr(connection, "LINGER_SECONDS", 0.05)
    async with served(tmp_path) as s:
        assert (await s.client.raw(sent)).code == "too-slow"


async def test_who_drips_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not keep a connection."""
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(connection, "LINGER_SECONDS", 0.05)
    async with served(tmp_path) as s:
        reader, writer = await asyncio.open_unix_connection(str(s.client.path))
        coming = asyncio.create_task(reader.readuntil(b"too-slow"))
        with contextlib.suppress(ConnectionError):
            writer.write(b"GET /v1/health HTTP/1.1\r\nX: ")
            while not coming.done():
                writer.write(b"y")
                await writer.drain()
                await asyncio.sleep(0.01)
        assert b" 408 " in await coming
        writer.close()


async def test_too_many_connections_are_turned_away(tmp_path: Path) -> None:
    """And those that are there go on."""
    gate = Gate(most=3)
    async with served(tmp_path, gate) as s:
        await s.start(more=SLOW)
        path = str(s.client.path)
        held = [await asyncio.open_unix_connection(path) for _ in range(3)]
        assert (await s.client.get("/v1/health")).code == "too-many"
        for reader, writer in held:
            writer.write(request("GET", "/v1/health"))
            assert parse(await reader.read()).status == 200
            writer.close()
        assert (await s.client.get("/v1/health")).status == 200


async def test_what_follows_a_request_is_not_answered(tmp_path: Path) -> None:
    """One connection, one request: nothing can be queued behind a stream."""
    async with served(tmp_path) as s:
        reply = await s.client.raw(request("GET", "/v1/health") * 50)
        assert reply.status == 200
        assert reply.body.count(b"uptime_seconds") == 1
        assert reply.headers["connection"] == "close"


async def test_a_flood_behind_a_stream_is_not_kept(tmp_path: Path) -> None:
    async with served(tmp_path) as s:
        reader, writer = await asyncio.open_unix_connection(str(s.client.path))
        writer.write(request("GET", "/v1/events"))
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(100):
            writer.write(request("GET", "/v1/health") * 100)
            await writer.drain()  # it is read, and not kept
        assert (await s.client.get("/v1/health")).status == 200
        writer.close()


async def test_who_does_not_read_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a stream nor an answer waits for ever for its reader."""
    monkeypatch.setattr(answering, "WRITE_SECONDS", 0.05)
    monkeypatch.setattr(answering, "HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.05)
    gate = Gate()
    async with served(tmp_path, gate) as s:
        reader, writer = await asyncio.open_unix_connection(str(s.client.path))
        writer.write(request("GET", "/v1/events"))
        await reader.readuntil(b"\r\n\r\n")
        while gate.open:
            s.service.bus.tell(Event("moment", {"domain": "web1", "detail": "x" * 10000}))
            await asyncio.sleep(0.001)
        writer.close()


async def test_a_bug_is_a_problem_and_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asked learns nothing of the service's inside."""
    async with served(tmp_path) as s:
        monkeypatch.setattr(s.service.metrics, "text", lambda _looks: 1 / 0)
        reply = await s.client.get("/metrics")
        assert reply.code == "internal"
        assert b"division" not in reply.body
        assert "ZeroDivisionError" in caplog.text
