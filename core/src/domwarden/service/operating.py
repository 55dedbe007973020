"""What the API does with evacuations, reclaims, recoveries and what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from domwarden.contract import ConflictError, Movement, PermanentError
from domwarden.migration import Moved
from domwarden.plan import Limits, Policy, Trip
from domwarden.service.asking import Asked
from domwarden.service.domains import known
from domwarden.service.host import HostService
from domwarden.service.operation import Kind, Operation
from domwarden.service.problems import ProblemError
from domwarden.service.routes import Answer, Event
from domwarden.warden import Ended, Evacuator, MoveState, trip_as_json


async def evacuate(service: HostService, asked: Asked) -> Answer:
    """Begin to move everything off this host, or to say what would be done."""
    operation = Operation(Kind.EVACUATION, asked.caller)
    return _begun(begin_evacuation(service, operation, asked.body))


def begin_evacuation(
    service: HostService, operation: Operation, body: Mapping[str, Any]
) -> Operation:
    """Begin it as a body of the API says; raises ProblemError while another one is under way."""
    limits = Limits(body["parallel_per_host"], body["parallel_per_link"])

    async def migrate(domain: str, host: str) -> Moved:
        return await _moved(service, domain, host, f"the evacuation {operation.id}")

    def told(trip: Trip, ended: Ended) -> None:
        if not body["dry_run"]:
            operation.tell("trip", trip_as_json(trip, ended))

    evacuator = Evacuator(
        service.warden,
        to=body["to"],
        limits=limits,
        policy=Policy(body["policy"]),
        on_trip=told,
        migrate=migrate,
    )

    async def work() -> dict[str, Any]:
        if body["dry_run"]:
            return (await evacuator.departures()).as_json()
        return (await evacuator.run()).as_json()

    if not body["dry_run"]:
        _alone(service)
        operation.stop = evacuator.stop
    return service.operations.begin(operation, work)


def _alone(service: HostService) -> None:
    """Raise ProblemError while the host is emptied already."""
    if (one := service.operations.emptying()) is not None:
        holder = f"the evacuation {one.id} (begun by {one.caller})"
        hint = f"follow it, or end it by DELETE of /v1/operations/{one.id}"
        raise ProblemError("conflict", f"{holder} is under way", hint=hint, holder=holder)


async def _moved(service: HostService, domain: str, host: str, caller: str) -> Moved:
    """Have a move as any other; returns its result, or raises why there is none."""
    try:
        move = await service.moves.begin(
            domain,
            Movement.MIGRATE,
            host,
            caller,
            lambda migration: service.warden.migrate(domain, host, migration=migration),
        )
    except ProblemError as problem:
        raise ConflictError(problem.detail, hint=problem.hint) from problem
    assert move.task is not None
    await asyncio.wait({move.task})
    if isinstance(move.result, Moved):
        return move.result
    raise move.error or PermanentError("the move was cancelled")


async def look(service: HostService, asked: Asked) -> Answer:
    """Say what a reclaim would do, and what is against it."""
    name, body = await known(service, asked), asked.body
    found = await service.warden.reclaimable(name, fenced=body["fenced"], cold=body["cold"])
    return Answer(found.as_json())


async def reclaim(service: HostService, asked: Asked) -> Answer:
    """Begin to take a released domain back from a host that is gone for good."""
    name, body = await known(service, asked), asked.body
    operation = Operation(Kind.RECLAIM, asked.caller, name, wants=lambda one: one.domain == name)
    what = f"the reclaim {operation.id} (begun by {asked.caller})"

    async def work() -> dict[str, Any]:
        # The keeper asks the silent host again and again, and holds the claim meanwhile.
        async with service.claims.take_in_turn(name, what):
            settled = await service.warden.reclaim(name, fenced=body["fenced"], cold=body["cold"])
        return settled.as_json()

    return _begun(service.operations.begin(operation, work))


async def recover(service: HostService, asked: Asked) -> Answer:
    """Begin to settle what is unfinished, as far as it goes now."""
    left = {one.id for one in await service.looks.unfinished() if one.state is MoveState.WAITING}
    operation = Operation(
        Kind.RECOVERY, asked.caller, wants=lambda one: one.migration in left or not one.migration
    )

    async def work() -> list[dict[str, Any]]:
        return [settled.as_json() for settled in await service.warden.recover()]

    return _begun(service.operations.begin(operation, work))


def _begun(operation: Operation) -> Answer:
    return Answer(operation.as_json(), 202, f"/v1/operations/{operation.id}")


async def every(service: HostService, _asked: Asked) -> Answer:
    """Return the operations that this run began."""
    return Answer([operation.as_json() for operation in service.operations.all()])


async def one(service: HostService, asked: Asked) -> Answer:
    """Return one operation."""
    return Answer(service.operations.one(asked.path["operation"]).as_json())


async def stop(service: HostService, asked: Asked) -> Answer:
    """Have an operation begin nothing more."""
    operation = service.operations.one(asked.path["operation"])
    if operation.over:
        raise ProblemError("over", f"it {operation.state}")
    if operation.stop is None:
        raise ProblemError("over", f"a {operation.kind} goes to its end")
    operation.stop()
    operation.stopping = True
    return Answer(operation.as_json(), 202, f"/v1/operations/{operation.id}")


async def follow(service: HostService, asked: Asked) -> AsyncIterator[Event]:
    """Follow one operation."""
    return service.operations.one(asked.path["operation"]).follow(asked.last_event)
