"""A device of the simulated domain: slow, sometimes failing or hanging, and never forgetful."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

from domwarden.contract import (
    Domain,
    Job,
    JobContext,
    PermanentError,
    Refusal,
    Step,
    TransientError,
    hookimpl,
)

JOB_SECONDS = 8.0
#: A hook whose job failed leaves the device as it was.
UNDOING = frozenset({"close", "recover", "finish"})


class Part:
    """What the devices of one host hold; survives every process and power cut."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        #: How likely a job is slow, fails, fails for a moment, or hangs.
        self.troubles: Mapping[str, float] = {}
        #: The devices that are open on the host.
        self.open: set[str] = set()
        #: Those of which an undoing job failed: what they hold is an alarm's matter.
        self.alarmed: set[str] = set()


class SimDevice:
    """Implements every hook of a device by which a move can go wrong."""

    contract = 1
    SCHEMA: Mapping[Any, Any] = {}

    def __init__(self, device: str, part: Part) -> None:
        self._device = device
        self._part = part

    @hookimpl
    def open(self, domain: Domain) -> Job | None:
        return self._job("open")

    @hookimpl
    def close(self, domain: Domain) -> Job | None:
        return self._job("close")

    @hookimpl
    def migrate(self, domain: Domain, step: Step) -> Job | Refusal | None:
        return self._job("migrate", step)

    @hookimpl
    def receive(self, domain: Domain, step: Step) -> Job | Refusal | None:
        return self._job("receive", step)

    @hookimpl
    def recover(self, domain: Domain, step: Step) -> Job | None:
        return self._job("recover", step)

    @hookimpl
    def finish(self, domain: Domain) -> Job | None:
        return self._job("finish")

    def _job(self, hook: str, step: Step | None = None) -> Job | None:
        # The second device has nothing to do at TEST and START, as many have.
        if self._device == "net" and step in {Step.TEST, Step.START}:
            return None

        async def run(context: JobContext) -> Any:
            await self._suffer(hook)
            if hook == "open":
                self._part.open.add(self._device)
            elif hook == "close":
                self._part.open.discard(self._device)
            return {"device": self._device} if hook in {"open", "migrate", "receive"} else None

        return Job(hook, run, timeout_seconds=JOB_SECONDS)

    async def _suffer(self, hook: str) -> None:
        part = self._part
        if not part.troubles:
            return
        drawn = part.rng.random()
        for trouble, likely in part.troubles.items():
            drawn -= likely
            if drawn > 0:
                continue
            if trouble == "slow":
                await asyncio.sleep(part.rng.uniform(0.0, JOB_SECONDS * 0.9))
                return
            if trouble == "moment":
                raise TransientError("not at this moment", delay=0.5)
            if hook in UNDOING:
                part.alarmed.add(self._device)
            if trouble == "hang":
                await asyncio.sleep(JOB_SECONDS * 4)
            raise PermanentError("the simulation wants it so")
