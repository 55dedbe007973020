"""A host is emptied for a peer that has shown who it is and may ask for it, and for nobody else."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cryptography", reason="domwarden[pki] is not installed")

from domwarden.contract import (
    ConflictError,
    DomwardenError,
    PermanentError,
    Refusal,
    RefusedError,
    TransientError,
)
from domwarden.migration import Message, wire
from domwarden.migration.emptying import NOBODY, Emptying
from domwarden.migration.listening import listening

from .helpers import move, running_domain
from .tls_world import TlsWorld, link
from .wired_world import lines, serving
from .world import World

ASK = Message("", "evacuate", {"do": "begin", "id": "0123456789ab"})


class Recorder(Emptying):
    """A service that writes down what it is asked."""

    def __init__(self, error: DomwardenError | None = None) -> None:
        self.heard: list[tuple[str, Mapping[str, Any]]] = []
        self.against: tuple[Refusal, ...] = ()
        self._error = error

    def refusals(self) -> Sequence[Refusal]:
        return self.against

    async def asked(self, client: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.heard.append((client, body))
        if self._error is not None:
            raise self._error
        return {"events": []}


@pytest.fixture
def world(tmp_path: Path) -> TlsWorld:
    return TlsWorld(tmp_path)


def allow(world: TlsWorld) -> None:
    """Let host a have host b emptied."""
    world.peers["b"]["a"] = dataclasses.replace(world.peers["b"]["a"], may_evacuate=True)


async def ask(world: TlsWorld, emptying: Emptying) -> Mapping[str, Any]:
    """Have host a ask host b; returns or raises what b says."""
    async with listening(world.host_file("b"), world.ports, emptying) as listener:
        way = link(world, listener.addresses[0])
        try:
            # Not raised in here: the context would make a group of it.
            (said,) = await asyncio.gather(way.send(ASK), return_exceptions=True)
        finally:
            await way.aclose()
    if isinstance(said, BaseException):
        raise said
    return said


async def test_a_peer_that_may_is_heard_under_its_own_name(world: TlsWorld) -> None:
    """The name is the certificate's, whatever a message says."""
    allow(world)
    service = Recorder()
    assert await ask(world, service) == {"events": []}
    assert service.heard == [("a", ASK.body)]


async def test_a_peer_that_may_not_is_refused_with_the_remedy(world: TlsWorld) -> None:
    """Nothing is asked of the service."""
    service = Recorder()
    with pytest.raises(PermanentError, match="a may not have b emptied") as caught:
        await ask(world, service)
    assert "`may_evacuate: true` under peers.a in the host file of b" in caught.value.hint
    assert service.heard == []


async def test_a_host_that_is_no_peer_is_not_even_heard(world: TlsWorld) -> None:
    """The authority's signature alone gives no right."""
    allow(world)
    service = Recorder()
    async with listening(world.host_file("b"), world.ports, service) as listener:
        way = link(world, listener.addresses[0], world.authority.host("c"))
        (said,) = await asyncio.gather(way.send(ASK), return_exceptions=True)
        await way.aclose()
    assert isinstance(said, TransientError)
    assert service.heard == []


async def test_a_host_without_a_service_behind_its_link_cannot_be_emptied(world: TlsWorld) -> None:
    """It says what to run."""
    allow(world)
    with pytest.raises(PermanentError) as caught:
        await ask(world, NOBODY)
    assert "domwarden serve" in caught.value.hint


async def test_what_the_service_has_against_it_arrives_as_it_is(world: TlsWorld) -> None:
    allow(world)
    with pytest.raises(ConflictError, match="is under way"):
        await ask(world, Recorder(ConflictError("another one is under way")))


async def test_who_has_not_shown_a_name_is_refused(tmp_path: Path) -> None:
    """As over a command: whoever runs it may be anybody."""
    async with serving(World(tmp_path)) as (reader, writer, _):
        writer.write(lines(wire.message_as_json(1, ASK)))
        answer = await wire.read(reader, 10)
        assert answer is not None
        assert "b does not know who asks" in answer["error"]["message"]


async def test_a_host_that_is_being_emptied_receives_nothing(world: TlsWorld) -> None:
    """It says so at TEST, before anything is touched; afterwards it receives again."""
    await running_domain(world)
    service = Recorder()
    service.against = (Refusal("being-emptied", "b is being emptied", "wait", host="b"),)
    async with listening(world.host_file("b"), world.ports, service) as listener:
        world.peers["a"]["b"] = dataclasses.replace(
            world.peers["a"]["b"], address=listener.addresses[0]
        )
        with pytest.raises(RefusedError) as caught:
            await move(world)
        assert [refusal.code for refusal in caught.value.refusals] == ["being-emptied"]
        assert world.states() == {"a": "running", "b": "absent"}
        service.against = ()
        await move(world)
    assert world.running() == ["b"]
