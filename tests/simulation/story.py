"""One seed: an operator's day among faults, the calm after it, and the judgement."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging
import os
import random
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from domwarden.contract import Refusal, RunState
from domwarden.migration import Outcome, Settled

from .chaos import Chaos
from .fencing import Fencer
from .loop import SimLoop, Stuck
from .person import Operator
from .process import Process
from .world import DEVICES, HOSTS, World, simulated

#: How long everything has to come to rest by itself after the last fault.
REST_SECONDS = 300.0
#: Where a file costs nothing.
_MEMORY = Path("/dev/shm")
#: What may wait for a person: a granted copy died after somebody told it to run.
_PERSON = "the destination's copy is dead and may have run"
#: The same where a journal was lost: what its host said to the other one, nobody knows.
#: A whole copy whose source is off: what it decided, only its journal says.
_UNTOLD = "only the source knows whether it released the domain"
_FORGOTTEN = ("its journal was lost", "to a destination that does not know of it")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """How a seed ended; no problems mean that every promise was kept."""

    seed: int
    problems: tuple[str, ...]
    ending: str
    events: int
    trace: tuple[str, ...]

    def __str__(self) -> str:
        what = "; ".join(self.problems) or self.ending
        return f"seed {self.seed}: {what} ({self.events} events)"


def run_seed(seed: int) -> Verdict:
    """Live through one seed; the same seed is the same history, event by event."""
    with _quiet():
        verdict = _run(seed)
        gc.collect(0)
    return verdict


def _run(seed: int) -> Verdict:
    rng = random.Random(seed)
    loop = SimLoop(rng)
    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    directory = Path(tempfile.mkdtemp(prefix="simulation-", dir=memory))
    world = World(directory, loop, rng)
    story = Story(world, rng)
    problems: list[str] = []

    loop.after_event = world.oracle.check
    try:
        with simulated(world):
            asyncio.set_event_loop(loop)
            try:
                loop.run_until_complete(story.live())
            except Stuck as stuck:
                problems.append(str(stuck))
            except _Found:
                pass
            problems = [*world.oracle.violations, *world.failures, *problems, *story.problems]
            verdict = Verdict(seed, tuple(problems), story.ending, loop.events, world.history())
            _bury(loop)
    finally:
        asyncio.set_event_loop(None)
        loop.close()
        for host in world.hosts.values():
            host.disk.close()
        shutil.rmtree(directory, ignore_errors=True)
    return verdict


class _Found(Exception):
    """There is no need to go on."""


class Story:
    """A day of a domain."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self.problems: list[str] = []
        self.ending = ""
        self._restless = ""
        self.operator = Operator(world, rng)

    async def live(self) -> None:
        world = self.world
        for host in world.hosts.values():
            host.boot()
        await self.operator.begin()
        fencer = self.operator.fencer
        chaos = Chaos(world, self.rng, fencer)
        background = [asyncio.create_task(chaos.weather())]
        if self.rng.random() < 0.3:
            background.append(asyncio.create_task(fencer.watch()))
        await self.operator.work()
        for task in background:
            task.cancel()
        fencer.lose_one()
        chaos.calm()
        await self._rest()
        self._stop_if_found()
        if fencer.gone:
            await self._go_on_without(fencer)
        await self._settle()

    async def _go_on_without(self, fencer: Fencer) -> None:
        """Have the domain run although one host is off for good, by one person's word."""
        world = self.world
        found = await self._recover()
        if not any(one.outcome is Outcome.BROKEN for one in found):
            stuck = [one.detail for one in found if one.outcome is Outcome.WAITING]
            waiting = fencer.waiting()
            if waiting is not None:
                refusals: list[Refusal] = []
                await fencer.reclaim(waiting[0], waiting[2], [fencer.gone], refusals).ended
                self._stop_if_found()
                for refusal in refusals:
                    self.problems.append(f"nobody may reclaim it: {refusal}")
            elif not world.oracle.alive() and not any(_UNTOLD in one for one in stuck):
                if not await self.operator.restore_newest():
                    await self.operator.start_anywhere()
                self._stop_if_found()
                if not world.oracle.alive():
                    self.problems.append(f"it runs nowhere without {fencer.gone}")
        gone, fencer.gone, self._restless = fencer.gone, "", ""
        world.boot(gone)
        await self._rest()
        self._stop_if_found()

    def _stop_if_found(self) -> None:
        if self.world.oracle.violations or self.world.failures:
            raise _Found

    async def _rest(self) -> None:
        """Let every process end that is under way."""
        loop = self.world.loop
        gone = self.operator.fencer.gone
        until = loop.time() + REST_SECONDS
        while loop.time() < until:
            off = [name for name, host in self.world.hosts.items() if not host.up and name != gone]
            if not self._busy() and not off:
                return
            await asyncio.sleep(1.0)
        # A person who is to decide switches off what would try again for an hour.
        self._restless = ", ".join(sorted(str(process) for process in self._busy()))
        for process in self._busy():
            process.kill()

    def _busy(self) -> list[Process]:
        hosts = self.world.hosts.values()
        return [p for host in hosts for p in host.processes if p.name != "hypervisor"]

    async def _settle(self) -> None:
        """Have an operator settle what is left, and judge what came of it."""
        world = self.world
        alive = world.oracle.alive()
        suspended = {
            host: state
            for host, state in world.oracle.holding().items()
            if state in {RunState.SUSPENDED, RunState.DEPARTED, RunState.RECEIVED}
        }
        found = await self._recover()
        broken = [one for one in found if one.outcome is Outcome.BROKEN]
        if suspended and not alive and not broken:
            self.problems.append(f"a suspended guest waited for nobody: {suspended}")
        for one in broken:
            known = (_PERSON, *_FORGOTTEN) if world.forgetful else (_PERSON,)
            if not any(reason in one.detail for reason in known):
                self.problems.append(f"nobody needed to decide: {one.detail}")
        if broken:
            self.ending = f"a person decides: {broken[0].detail}"
            return
        if self._restless:
            self.problems.append(f"it does not come to rest: {self._restless}")
        waiting = [one for one in found if one.outcome is Outcome.WAITING]
        if waiting:
            self.problems.append(f"it waits although all is well: {waiting[0].detail}")
            return
        await self._bring_back()
        await self._judge()

    async def _recover(self) -> list[Settled]:
        """Run ``recover`` on every host, as often as it settles anything."""
        found: list[Settled] = []
        for _ in range(2):
            found.clear()
            for host in (name for name in HOSTS if self.world.hosts[name].up):
                ended = self.world.run(host, "recover", lambda host=host: self._one(host, found))
                await ended.ended
            self._stop_if_found()
            if not found:
                break
        return found

    async def _one(self, host: str, found: list[Settled]) -> None:
        async with self.world.warden(host) as warden:
            found += await warden.recover()

    async def _bring_back(self) -> None:
        """Start what runs nowhere, where it may be started."""
        world = self.world
        if world.oracle.alive():
            self.ending = "it runs"
            return
        if self.rng.random() < 0.5:
            await self.operator.restore_any()
        if world.oracle.alive():
            self.ending = "it was restored"
        elif await self.operator.restore_newest() or await self.operator.start_anywhere():
            self.ending = "it was started again"
        else:
            self.problems.append("it runs nowhere, and nobody may start it")
            raise _Found

    async def _judge(self) -> None:
        world = self.world
        self._stop_if_found()
        alive, holding = world.oracle.alive(), world.oracle.holding()
        if len(alive) != 1 or holding != alive:
            self.problems.append(f"not exactly one copy: {holding}")
            return
        ((owner, state),) = alive.items()
        left_over = world.oracle.left_over(owner)
        if left_over:
            self.problems.append(f"copies are left over: {left_over}")
        if state is not RunState.RUNNING and not self.operator.paused:
            self.problems.append(f"nobody paused it, yet it is {state}")
        for name, host in world.hosts.items():
            left = host.disk.unfinished()
            if left:
                self.problems.append(f"{name} has unfinished moves: {left}")
            wanted = set(DEVICES) if name == owner else set()
            if name in world.oracle.bereft and name != owner:
                continue  # it died with the domain: its next verb closes what is open
            if host.part.open - host.part.alarmed != wanted - host.part.alarmed:
                self.problems.append(f"{name} has open {sorted(host.part.open)}, not {wanted}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Wardens log what the simulation does to them; the dead complain when they are buried."""
    collecting = gc.isenabled()
    gc.disable()
    logging.disable()
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.unraisablehook = hook
        logging.disable(logging.NOTSET)
        if collecting:
            gc.enable()


def _bury(loop: SimLoop) -> None:
    """Take the dead apart: their coroutines must not be finished by a collector, loudly."""
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is wanted so
        _close(task.get_coro())


def _close(coroutine: Any) -> None:
    for _ in range(50):
        try:
            coroutine.close()
        except BaseException:  # noqa: BLE001 - whatever it wanted to say, nobody is left to hear
            continue
        return
