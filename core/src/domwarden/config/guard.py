"""Turns a guard file into what the guard is to do, or into every problem it has."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from pathlib import Path
from typing import Any

from domwarden.config import guard_keys as keys
from domwarden.config.domain import is_mapping
from domwarden.config.guard_keys import CheckKind
from domwarden.config.nodes import Mapping, Mark, Node
from domwarden.config.report import Path as KeyPath
from domwarden.config.report import Report
from domwarden.config.schemas import driver_section
from domwarden.config.sections import check
from domwarden.contract import DriverError, relative_to
from domwarden.plugins import Kind, load


@dataclasses.dataclass(frozen=True)
class HostWatchdogEntry:
    """One of the machine's watchdogs, by its driver's name."""

    driver: str
    timeout_seconds: int
    required: bool = False
    options: AbstractMapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class CheckEntry:
    """One health check; ``options`` are those of its kind."""

    name: str
    kind: CheckKind
    every_seconds: float
    retries: int
    options: AbstractMapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Repair:
    """A command that may put right what made a check fail."""

    run: tuple[str, ...]
    timeout_seconds: float
    attempts: int


@dataclasses.dataclass(frozen=True)
class GuardFile:
    """What a guard file says; ``watchdogs`` is None where it leaves the choice to the guard."""

    interval_seconds: float
    timeout_seconds: int
    hand_over_seconds: int
    state_directory: Path
    lock_memory: bool
    priority: int
    watchdogs: tuple[HostWatchdogEntry, ...] | None = None
    checks: tuple[CheckEntry, ...] = ()
    repair: Repair | None = None


def read_guard(root: Mapping, directory: Path, report: Report) -> GuardFile | None:
    """Return what the file says; None when the report says what is wrong with it.

    Paths in the file count from ``directory``.
    """
    for key in root.values:
        if key != "guard":
            report.add(root.keys[key], (key,), f"unknown key '{key}'", "a guard file has `guard`")
    node = root.values.get("guard")
    mark = root.keys.get("guard", root.mark)
    if not is_mapping(node, mark, ("guard",), report):
        return None
    with relative_to(directory):
        return _Reader(node, report).read()


def default_guard() -> GuardFile:
    """Return what the guard does without a file: it kicks every watchdog and checks nothing."""
    made = read_guard(
        Mapping(Mark(1, 1), {"guard": Mapping(Mark(1, 1))}, {"guard": Mark(1, 1)}),
        Path("/"),
        Report("defaults"),
    )
    assert made is not None  # no problem can be in nothing
    return made


class _Reader:
    """One guard file under the reader's eyes."""

    def __init__(self, node: Mapping, report: Report) -> None:
        self.node = node
        self.report = report

    def read(self) -> GuardFile | None:
        own = check(self.report, keys.guard_keys(), self.node, ("guard",), others=keys.SECTIONS)
        # without them the rest is read for its own mistakes
        interval, timeout = (own["interval"], int(own["timeout"])) if own else (0.0, 0)
        self._check_kicks(self.node, ("guard",), interval, timeout)
        watchdogs = self._watchdogs(interval, timeout)
        checks = tuple(self._checks(interval))
        repair = self._repair()
        if own is None or self.report.problems:
            return None
        return GuardFile(
            interval_seconds=interval,
            timeout_seconds=timeout,
            hand_over_seconds=int(own["hand_over"]),
            state_directory=Path(own["state"]),
            lock_memory=own["lock_memory"],
            priority=own["priority"],
            watchdogs=watchdogs,
            checks=checks,
            repair=repair,
        )

    def _watchdogs(self, interval: float, timeout: int) -> tuple[HostWatchdogEntry, ...] | None:
        if "watchdogs" not in self.node.values:
            return None
        found = []
        for name, entry, path, mark in self._entries("watchdogs"):
            try:
                section = driver_section(load(Kind.HOST_WATCHDOG, name))
            except DriverError as error:
                self.report.add(mark, path, error.message, error.hint)
                continue
            common = keys.host_watchdog_keys()
            own = check(self.report, common, entry, path, only=common.keys)
            options = check(self.report, section, entry, path, others=common.keys, at=mark)
            if own is None or options is None:
                continue
            granted = int(own.get("timeout", timeout))
            self._check_kicks(entry, path, interval, granted)
            found.append(HostWatchdogEntry(name, granted, own["required"], options))
        if not found and not self.report.problems:
            where = self.node.keys["watchdogs"]
            self.report.add(where, ("guard", "watchdogs"), "names none", "remove it for all")
        return tuple(found)

    def _checks(self, interval: float) -> Iterator[CheckEntry]:
        for name, entry, path, mark in self._entries("checks"):
            common = keys.check_keys()
            own = check(self.report, common, entry, path, only=common.keys, at=mark)
            if own is None:
                continue
            kind = CheckKind(own["kind"])
            section = keys.kind_keys(kind)
            options = check(self.report, section, entry, path, others=common.keys, at=mark)
            if kind is CheckKind.LOAD and options == {}:
                wanted = "write one_minute, five_minutes or fifteen_minutes"
                self.report.add(mark, path, "has no limit", wanted)
            if options is not None:
                every = own.get("every", interval)
                yield CheckEntry(name, kind, every, own["retries"], options)

    def _repair(self) -> Repair | None:
        node, path = self.node.values.get("repair"), ("guard", "repair")
        if not is_mapping(node, node.mark if node else self.node.mark, path, self.report):
            return None
        read = check(self.report, keys.repair_keys(), node, path)
        if read is None:
            return None
        return Repair(tuple(read["run"]), read["timeout"], read["attempts"])

    def _check_kicks(self, node: Mapping, path: KeyPath, interval: float, timeout: int) -> None:
        """Complain about a time-out that one late kick would let expire."""
        if interval * 2 > timeout:
            written = node.values.get("timeout")
            mark = written.mark if written else node.mark
            what = f"{timeout} s are not twice the interval, {interval:g} s"
            hint = "one late kick must not reset the machine"
            self.report.add(mark, (*path, "timeout"), what, hint)

    def _entries(self, section: str) -> Iterator[tuple[str, Mapping, KeyPath, Mark]]:
        node: Node | None = self.node.values.get(section)
        mark = node.mark if node else self.node.mark
        if not is_mapping(node, mark, ("guard", section), self.report):
            return
        for name, entry in node.values.items():
            path, mark = ("guard", section, name), node.keys[name]
            if not self.report.full and is_mapping(entry, mark, path, self.report):
                yield name, entry, path, mark
