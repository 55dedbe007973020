"""A room that writes down what its devices were asked, and what became of it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from domwarden.contract import (
    Domain,
    End,
    Job,
    JobContext,
    JobResult,
    PermanentError,
    Refusal,
    Step,
    Ticket,
)
from domwarden.plugins import DomainRoom


@dataclasses.dataclass
class Call:
    """One hook of one device that was called, and its job.

    ``answer`` is the job's name, a refusal's code, a plain answer as text, or empty for None.
    ``result`` is what the job gave: a ticket, refusals, or nothing; ``error`` the line of what it
    raised.  ``ticket`` and ``given`` are what the hook was shown.
    """

    host: str
    end: str
    device: str
    hook: str
    step: str = ""
    answer: str = ""
    ran: bool = False
    ticket: Ticket | None = None
    given: Ticket | None = None
    result: JobResult = None
    error: str = ""

    def __str__(self) -> str:
        return " ".join(word for word in (self.host, self.hook, self.step) if word)


class Recorder:
    """What all rooms of one world write into, and the failure that they are asked to make."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        #: At this end and step a device of the kit fails, after every other device's job.
        self.fail_at: tuple[End, Step] | None = None
        #: Whether each job is run twice, as after a crash between its end and the record of it.
        self.twice = False

    def take(self) -> tuple[Call, ...]:
        """Return the calls since the last time."""
        taken, self.calls = tuple(self.calls), []
        return taken

    def record(self, call: Call, job: Job, ended: asyncio.Event) -> Job:
        """Return the same job, which also writes down what becomes of it."""

        async def run(context: JobContext) -> JobResult:
            call.ran = True
            try:
                call.result = await job.run(context)
                if self.twice:
                    call.result = await job.run(context)
            except BaseException as error:
                call.error = str(error) or type(error).__name__
                raise
            finally:
                ended.set()
            return call.result

        return dataclasses.replace(job, run=run)

    def saboteur(
        self, domain: Domain, hook: str, step: Step | None, others: Sequence[asyncio.Event]
    ) -> Job | None:
        """Return a job that fails after the others, if this is where the world shall fail."""
        ends = {"migrate": End.SOURCE, "receive": End.DESTINATION}
        if self.fail_at is None or (ends.get(hook), step) != self.fail_at:
            return None

        async def fail(_context: JobContext) -> None:
            await asyncio.gather(*(ended.wait() for ended in others))
            raise PermanentError("the test wants this step to fail")

        return Job("fail", fail, timeout_seconds=10.0)


#: The id of the kit's own device, which has no hooks; no YAML id begins with a hyphen.
SABOTEUR = "-saboteur"


class RecordingRoom(DomainRoom):
    """A room whose devices' calls are recorded."""

    recorder: Recorder

    def _call(
        self,
        hook: str,
        expected: tuple[type, ...],
        domain: Domain,
        arguments: Mapping[str, Any],
        tickets: Mapping[str, Ticket | None] | None = None,
        given: Mapping[str, Ticket | None] | None = None,
        devices: Collection[str] | None = None,
    ) -> dict[str, Any]:
        tickets, given = tickets or {}, given or {}
        answers: dict[str, Any] = super()._call(
            hook, expected, domain, arguments, tickets, given, devices
        )
        step = arguments.get("step")
        others: list[asyncio.Event] = []
        for implementation in self._implementations.get(hook, ()):
            device = implementation.device
            if devices is not None and device not in devices:
                continue
            answer = answers.get(device)
            call = Call(
                host=domain.host.name,
                end=domain.end if domain.movement else "",
                device=device,
                hook=hook,
                step=step.name if isinstance(step, Step) else "",
                answer=_words(answer),
                ticket=tickets.get(device),
                given=given.get(device),
            )
            self.recorder.calls.append(call)
            if isinstance(answer, Job):
                others.append(asyncio.Event())
                answers[device] = self.recorder.record(call, answer, others[-1])
        failing = self.recorder.saboteur(domain, hook, step, others)
        if failing is not None:
            answers[SABOTEUR] = failing
        return answers


def _words(answer: object) -> str:
    if answer is None:
        return ""
    if isinstance(answer, Job):
        return answer.name
    return answer.code if isinstance(answer, Refusal) else str(answer)
