"""A copy in the making is told of and can be ended, though nobody waits for it any more."""

import asyncio
import contextlib
import threading

import pytest

from domwarden.contract import EngineError, Host, RunState
from domwarden.embedded import EmbeddedEngine, Hypervisor
from domwarden.embedded.service import Call, Service

from .helpers import ToyRoom, definition


class Bench:
    """A host whose hypervisor carries calls through, also while it is busy loading drivers."""

    def __init__(self, directory):
        self.host = Host("a", directory)
        self.hypervisor = Hypervisor()
        self.engine = EmbeddedEngine(self.host, self.hypervisor)
        self.incoming = self.engine.incoming("web1", "move-1")
        self.definition = definition()
        self.room = ToyRoom(self.definition, self.host)
        self.made = None
        self._loaded = threading.Event()

    async def state(self):
        return (await self.engine.observe("web1")).state

    async def begin(self, method, **arguments):
        """Have a copy made by somebody who does not wait for it; its drivers are being loaded."""
        loading = threading.Event()

        def make_room(_definition, _host):
            loading.set()
            assert self._loaded.wait(60)
            return self.room

        names = {"name": "web1", "definition": self.definition.as_json()}
        call = Call(self.host, method, names | arguments, print, make_room)
        self.made = asyncio.create_task(Service(self.hypervisor).call(call))
        assert await asyncio.to_thread(loading.wait, 60)

    async def listen(self):
        await self.begin("listen", migration="move-1", source=None, peer="")

    async def start(self):
        await self.begin("start", held=False)

    async def load(self):
        """Let the drivers be loaded; raises what then came of making the copy."""
        self._loaded.set()
        await self.made

    async def close(self):
        self._loaded.set()
        await asyncio.gather(self.made, return_exceptions=True)
        self.hypervisor.close()


@contextlib.asynccontextmanager
async def a_bench(directory):
    bench = Bench(directory)
    try:
        yield bench
    finally:
        await bench.close()


def ended():
    return pytest.raises(EngineError, match="was ended while it was made")


async def test_an_incoming_copy_in_the_making_is_not_absent(tmp_path):
    """Whoever found nothing there would close everything, and have a copy later."""
    async with a_bench(tmp_path) as bench:
        await bench.listen()
        assert await bench.state() is RunState.INCOMING
        await bench.load()
        assert await bench.state() is RunState.INCOMING


async def test_a_copy_that_is_discarded_in_the_making_is_never_made(tmp_path):
    """Its move was given up meanwhile."""
    async with a_bench(tmp_path) as bench:
        await bench.listen()
        await bench.incoming.discard()
        assert await bench.state() is RunState.ABSENT
        with ended():
            await bench.load()
        assert await bench.state() is RunState.ABSENT


async def test_one_move_discards_nothing_that_another_one_makes(tmp_path):
    """It has no part in it."""
    async with a_bench(tmp_path) as bench:
        await bench.listen()
        await bench.engine.incoming("web1", "move-2").discard()
        await bench.load()
        assert await bench.state() is RunState.INCOMING


async def test_no_move_discards_a_domain_that_is_being_started(tmp_path):
    """It is somebody's own, and may be the only one."""
    async with a_bench(tmp_path) as bench:
        await bench.start()
        await bench.incoming.discard()
        await bench.load()
        assert await bench.state() is RunState.RUNNING


async def test_a_domain_that_is_stopped_while_it_is_started_never_runs(tmp_path):
    """It may run on another host by the time that its drivers are loaded."""
    async with a_bench(tmp_path) as bench:
        await bench.start()
        assert await bench.state() is RunState.UNKNOWN
        await bench.engine.stop("web1")
        assert await bench.state() is RunState.ABSENT
        with ended():
            await bench.load()
        assert await bench.state() is RunState.ABSENT


async def test_a_copy_that_runs_is_seen_and_spared_whatever_else_is_asked_for(tmp_path):
    """What cannot be made beside it hides nothing of it."""
    async with a_bench(tmp_path) as bench:
        await bench.engine.start(bench.definition, bench.room)
        await bench.listen()
        assert await bench.state() is RunState.RUNNING
        await bench.incoming.discard()
        assert await bench.state() is RunState.RUNNING
        with ended():
            await bench.load()
        assert await bench.state() is RunState.RUNNING


async def test_a_second_copy_is_refused_while_the_first_one_is_made(tmp_path):
    """Whoever asks for it hears that at once."""
    async with a_bench(tmp_path) as bench:
        await bench.listen()
        other = bench.engine.incoming("web1", "move-2")
        with pytest.raises(EngineError, match="is being made here already"):
            await other.listen(bench.definition, bench.room)


async def test_another_move_may_come_once_the_first_was_discarded(tmp_path):
    """What the first one is still busy with touches nothing of the second."""
    async with a_bench(tmp_path) as bench:
        await bench.listen()
        await bench.incoming.discard()
        other = bench.engine.incoming("web1", "move-2")
        await other.listen(bench.definition, bench.room)
        with ended():
            await bench.load()
        assert await bench.state() is RunState.INCOMING
        await other.discard()
        assert await bench.state() is RunState.ABSENT


async def test_a_maker_that_is_cancelled_leaves_nothing_in_the_making(tmp_path):
    """As in a process that ends; that it was cancelled is not hidden from it."""
    async with a_bench(tmp_path) as bench:
        await bench.listen()
        bench.made.cancel()
        with pytest.raises(asyncio.CancelledError):
            await bench.made
        assert await bench.state() is RunState.ABSENT
