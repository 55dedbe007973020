"""Evacuations of this host that its peers ask for."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from domwarden.config.schemas import Section, section
from domwarden.contract import ConflictError, DomwardenError, PermanentError, Refusal
from domwarden.migration.emptying import Emptying
from domwarden.service import bodies
from domwarden.service.asking import validate
from domwarden.service.host import HostService
from domwarden.service.operating import begin_evacuation
from domwarden.service.operation import Kind, Operation
from domwarden.service.problems import ProblemError

#: So many events are told at once: the answer must fit into a line of the link.
MOST_EVENTS = 256


class ServiceEmptying(Emptying):
    """Has the service empty its host for a peer, which chooses the operation's id.

    ``begin`` begins it once, ``stop`` has it begin no more moves, ``look`` does neither; each is
    answered with the operation, and with what it told after the event of that number.
    """

    def __init__(self, service: HostService) -> None:
        self._service = service

    def refusals(self) -> Sequence[Refusal]:
        """Refuse every domain while the host is being emptied: none must go in circles."""
        under_way = self._service.operations.emptying()
        if under_way is None:
            return ()
        name = self._service.host_file.host.name
        return (
            Refusal(
                code="being-emptied",
                reason=f"{name} is being emptied (by {under_way.caller})",
                remedy=f"wait until everything has left {name}, or choose another host",
                host=name,
            ),
        )

    async def asked(self, client: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Begin, look at or stop an evacuation of that peer's; raises DomwardenError."""
        try:
            read = validate(dict(body), _section(), "body")
            operation = self._operation(f"the peer {client}", read)
        except ProblemError as problem:
            raise _error(problem) from problem
        told = operation.told(read["after"], MOST_EVENTS)
        return {
            "operation": operation.as_json(),
            "events": [{"number": e.number, "kind": e.kind, "data": e.data} for e in told],
        }

    def _operation(self, caller: str, read: Mapping[str, Any]) -> Operation:
        operations, name = self._service.operations, read["id"]
        known = any(one.id == name for one in operations.all())
        if read["do"] == "begin" and not known:
            operation = Operation(Kind.EVACUATION, caller, id=name)
            return begin_evacuation(self._service, operation, read["options"])
        operation = operations.one(name)
        if operation.caller != caller:
            raise ProblemError("unknown-operation", f"{name} is not an evacuation of {caller}")
        if read["do"] == "stop" and operation.stop is not None and not operation.over:
            operation.stop()
            operation.stopping = True
        return operation


@functools.cache
def _section() -> Section:
    import voluptuous as v  # here, as everywhere: it costs start-up time

    name = v.All(str, v.Match(r"[0-9a-f]{12}$(?!\n)", msg="expected 12 hexadecimal digits"))
    schema = {
        v.Required("do"): v.In(["begin", "look", "stop"]),
        v.Required("id"): name,
        v.Optional("after", default=0): v.All(int, v.Range(min=0, msg="expected 0 or more")),
        v.Optional("options", default=dict): bodies.evacuate(),
    }
    return section(schema, "domwarden")


def _error(problem: ProblemError) -> DomwardenError:
    kind = ConflictError if problem.code == "conflict" else PermanentError
    return kind(problem.detail, hint=problem.hint)
