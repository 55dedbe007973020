"""A stream of the embedded engine that may leave the machine is encrypted, for one peer only."""

import asyncio
import contextlib
import dataclasses
import datetime

import pytest

from domwarden.contract import EngineError, Host, Stream, Tls, tls
from domwarden.embedded import EmbeddedEngine
from domwarden.pki import Directory
from domwarden.testing.engines.bench import started

from .helpers import make_bench, no_progress

#: A name: it may mean another machine, so the rule of those counts; the test's own packets stay.
LISTEN = "localhost"


@pytest.fixture
def pki(tmp_path):
    made, now = Directory(tmp_path / "pki"), datetime.datetime.now(datetime.UTC)
    made.create_authority(now)
    for name in ("a", "b", "c"):
        made.create_host(name, now, 730)
    return made


def over_network(bench, pki, **hosts):
    """Give both engines of a bench hosts whose streams go over a network."""
    for end in ("source", "destination"):
        engine = getattr(bench, end)
        name = engine.host.name
        host = Host(
            name,
            engine.host.state_directory,
            {"embedded": {"listen": LISTEN}},
            tls=Tls.usual(hosts.get(f"{name}_shows", name), pki.path),
            streams=hosts.get(name, Stream.TLS),
        )
        setattr(bench, end, EmbeddedEngine(host, engine.hypervisor))
    return bench


async def heard(reader):
    """Return what came until the end of the connection."""
    with contextlib.suppress(OSError):
        return await reader.read()
    return b""


async def move(bench, live):
    """Move the guest and return its address."""
    room = bench.room(bench.destination)
    incoming = bench.destination.incoming("web1", "m1", "a")
    address = await incoming.listen(live, room)
    outgoing = bench.source.outgoing(live, "m1", "b")
    await outgoing.precopy(address, no_progress)
    await outgoing.suspend()
    await asyncio.gather(outgoing.complete(no_progress), incoming.received())
    await incoming.activate(run=True)
    await bench.source.stop("web1")
    assert await bench.answers(bench.destination)
    return address


@pytest.mark.parametrize("streams", [Stream.TLS, Stream.PLAIN])
async def test_a_stream_travels_as_both_hosts_say(tmp_path, pki, streams):
    bench = over_network(make_bench(tmp_path), pki, a=streams, b=streams)
    live = await started(bench)
    assert (await move(bench, live))["stream"] == streams
    await bench.close()


async def test_nothing_is_sent_to_a_host_that_shows_another_name(tmp_path, pki):
    bench = over_network(make_bench(tmp_path), pki, b_shows="c")
    live = await started(bench)
    with pytest.raises(EngineError, match="its certificate names 'c', not 'b'"):
        await move(bench, live)
    assert await bench.answers(bench.source)
    await bench.close()


@pytest.mark.parametrize("ours", [Stream.TLS, Stream.PLAIN])
async def test_hosts_that_disagree_send_nothing(tmp_path, pki, ours):
    """Whatever the other host said at TEST."""
    other = Stream.PLAIN if ours is Stream.TLS else Stream.TLS
    bench = over_network(make_bench(tmp_path), pki, a=ours, b=other)
    live = await started(bench)
    with pytest.raises(EngineError, match=f"the other host takes the stream {other}"):
        await move(bench, live)
    assert await bench.answers(bench.source)
    await bench.close()


@pytest.mark.parametrize("kind", ["plain", "no certificate", "foreign", "another host"])
async def test_a_stranger_who_comes_first_does_no_harm(tmp_path, pki, kind, caplog):
    bench = over_network(make_bench(tmp_path), pki)
    live = await started(bench)
    room = bench.room(bench.destination)
    incoming = bench.destination.incoming("web1", "m1", "a")
    address = await incoming.listen(live, room)
    context = None
    if kind != "plain":
        files = Tls.usual("c", pki.path)
        if kind == "foreign":
            other, now = Directory(tmp_path / "other"), datetime.datetime.now(datetime.UTC)
            other.create_authority(now)
            other.create_host("a", now, 730)
            files = dataclasses.replace(Tls.usual("a", other.path), authority=files.authority)
        context = tls.context(files, server=False)
        if kind == "no certificate":
            context = type(context)(context.protocol)
            context.check_hostname = False
            context.load_verify_locations(files.authority)
    with contextlib.suppress(OSError):  # some are refused in the handshake already
        reader, writer = await asyncio.open_connection(*address["tcp"], ssl=context)
        writer.write(bytes(4096))
        assert await heard(reader) == b""
        writer.transport.abort()
    if kind == "another host":
        assert "its certificate names 'c', not 'a'" in caplog.text
    outgoing = bench.source.outgoing(live, "m1", "b")
    await outgoing.precopy(address, no_progress)
    await outgoing.suspend()
    await asyncio.gather(outgoing.complete(no_progress), incoming.received())
    await bench.close()


async def test_a_host_without_a_certificate_makes_no_copy(tmp_path, pki):
    bench = over_network(make_bench(tmp_path), pki, b_shows="nobody")
    live = await started(bench)
    with pytest.raises(EngineError, match=r"nobody\.pem|nobody\.key"):
        await move(bench, live)
    assert await bench.destination.domains() == []
    await bench.close()
