"""A dump is written once, whoever writes it."""

import asyncio
import contextlib
from pathlib import Path

from domwarden.contract import Action, WatchdogEntry
from domwarden.journal import Journal
from domwarden.watchdog.supervisor import supervise

from ..embedded.helpers import make_bench


async def test_an_engine_that_dumps_by_itself_is_not_asked_to_dump_again(tmp_path: Path) -> None:
    """The embedded hypervisor writes the dump; the supervisor records the expiry and adds none."""
    told = []

    async def tell(expiry) -> None:
        told.append(expiry)

    bench = make_bench(tmp_path, watchdog=WatchdogEntry("one-timer", action=Action.DUMP))
    name = bench.definition.name
    async with Journal(tmp_path / "a") as journal:
        await bench.source.start(bench.definition, bench.room(bench.source))
        work = supervise(bench.source, journal, bench.definition, tell, contextlib.nullcontext)
        supervisor = asyncio.create_task(work, name=f"{name}/supervisor")
        await bench.pass_seconds(1.0)
        await bench.guard(bench.source, 5)
        await bench.hang(bench.source)
        async with asyncio.timeout(10):
            while not told:
                await bench.pass_seconds(1.0)
        await asyncio.sleep(0.3)  # dumps are written by real threads
        dumps = list((tmp_path / "a").rglob("dump-*"))
        await bench.source.stop(name)
        await asyncio.wait_for(supervisor, 10)
        assert len(await journal.expiries(name)) == 1
    assert len(dumps) == 1
