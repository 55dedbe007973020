"""Calling one step's hooks of a domain's devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pluggy

from domwarden.contract import (
    Definition,
    DeviceHooks,
    Domain,
    Host,
    Job,
    JobContext,
    Step,
    hookimpl,
)
from domwarden.plugins import DomainRoom, Driver, Kind

from .report import Report
from .sampling import interleaved, processor_seconds

COUNTS = (1, 10, 100)


class Device:
    """A device with work at every step of its source."""

    contract = 1
    SCHEMA: Mapping[Any, Any] = {}

    def __init__(self, id: str, _options: Mapping[str, Any]) -> None:  # noqa: A002 - the contract's name
        self.id = id

    async def _work(self, _context: JobContext) -> None: ...

    @hookimpl
    def migrate(self, domain: Domain, step: Step) -> Job | None:
        """Return a job."""
        return Job(f"{step.name} of {self.id}", self._work)


def run(*, quick: bool) -> Report:
    """Measure a step through the room beside pluggy that calls the same functions."""
    report = Report("dispatch", "one step to all devices of a domain, processor time")
    for count in COUNTS:
        ours, theirs = _measure(count, (200 if quick else 20_000) // count, 4 if quick else 20)
        devices = "1 device" if count == 1 else f"{count} devices"
        report.add(f"room, {devices}", "µs", ours, scale=1e6, peer=("bare pluggy", theirs))
        report.add(f"bare pluggy, {devices}", "µs", theirs, scale=1e6)
    report.notes.append(
        "the room names each answer's device, gives each device its own view of the domain with"
        " its tickets, and turns a device's exception into a report; bare pluggy does none of it"
    )
    return report


def _measure(count: int, repeats: int, rounds: int) -> tuple[list[float], list[float]]:
    room, manager = _rooms(count)
    domain = room.domain
    answers = room.migrate(domain, Step.START)
    plain = manager.hook.migrate(domain=domain, step=Step.START)
    if len(answers) != count or len(plain) != count:
        raise RuntimeError(f"{len(answers)} and {len(plain)} answers of {count} devices")
    through_pluggy = manager.hook.migrate
    contenders = {
        "room": _batch(lambda: room.migrate(domain, Step.START), repeats),
        "pluggy": _batch(lambda: through_pluggy(domain=domain, step=Step.START), repeats),
    }
    samples = interleaved(contenders, rounds)
    return samples["room"], samples["pluggy"]


def _rooms(count: int) -> tuple[DomainRoom, pluggy.PluginManager]:
    driver = Driver(Kind.DEVICE, "bench", Device, "bench", "1")
    devices: dict[str, tuple[Driver, object]] = {
        f"d{number}": (driver, Device(f"d{number}", {})) for number in range(count)
    }
    domain = Domain(Definition("web1", "", "embedded", 2**20), Host("a", Path("/nowhere")))
    manager = pluggy.PluginManager("domwarden")
    manager.add_hookspecs(DeviceHooks)
    for name, (_, device) in devices.items():
        manager.register(device, name)
    return DomainRoom(domain, devices, None), manager


def _batch(call: Callable[[], object], repeats: int) -> Callable[[], float]:
    def batch() -> None:
        for _ in range(repeats):
            call()

    return lambda: processor_seconds(batch) / repeats
