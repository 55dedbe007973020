"""Turns a domain file into its definition, or into every problem it has."""

from __future__ import annotations

import uuid
from collections.abc import Mapping as AnyMapping
from pathlib import Path
from typing import Any, TypeGuard

from domwarden.config import keys
from domwarden.config.compose import compose
from domwarden.config.nodes import Mapping, Mark, Node, Scalar, wrong
from domwarden.config.report import Path as KeyPath
from domwarden.config.report import Report
from domwarden.config.schemas import driver_section
from domwarden.config.sections import check
from domwarden.config.wording import did_you_mean
from domwarden.contract import (
    Action,
    Definition,
    DeviceEntry,
    DriverError,
    Escalation,
    MigrationSettings,
    WatchdogEntry,
    relative_to,
)
from domwarden.plugins import Driver, Kind, load
from domwarden.plugins.fitting import misfit, misfits


def read_domain(root: Mapping, directory: Path, report: Report) -> Definition | None:
    """Return the definition; None when the report says why there is none.

    Paths in the file count from ``directory``.
    """
    with relative_to(directory):
        return _Reader(root, report).read()


def read_root(text: str, report: Report) -> Mapping | None:
    """Return the mapping that a file is, or None when the report says why it is none."""
    root = compose(text, report)
    if root is None or isinstance(root, Mapping):
        return root
    report.add(root.mark, (), "is not a mapping", "write `domain: NAME` and what belongs to it")
    return None


def is_mapping(node: Node | None, mark: Mark, path: KeyPath, report: Report) -> TypeGuard[Mapping]:
    """Say whether a section is a mapping; a section that is something else is a problem."""
    if node is None or isinstance(node, Mapping):
        return node is not None
    report.add(mark, path, wrong(node), "expected a mapping")
    return False


def load_driver(
    kind: Kind, entry: Mapping, key: str, path: KeyPath, report: Report
) -> Driver | None:
    """Return the driver that an entry names under ``key``, or None when the report says why not."""
    named = entry.values.get(key)
    if not isinstance(named, Scalar) or not isinstance(named.value, str):
        return None  # the schema of the entry says so
    try:
        return load(kind, named.value)
    except DriverError as error:
        report.add(named.mark, (*path, key), error.message, error.hint)
        return None


class _Reader:
    """One domain file under the reader's eyes."""

    def __init__(self, root: Mapping, report: Report) -> None:
        self.root = root
        self.report = report
        self.engine = self._engine()

    def read(self) -> Definition | None:
        section = keys.domain_keys()
        own = check(self.report, section, self.root, only=section.keys)
        options = self._engine_options()
        boot = self._boot(options)
        watchdog = self._watchdog()
        devices = self._devices()
        migration = self._migration()
        if own is None or self.report.problems:
            return None
        definition = Definition(
            name=own["domain"],
            uuid=own.get("uuid")
            or str(uuid.uuid5(uuid.NAMESPACE_URL, f"domwarden:{own['domain']}")),
            engine=own["engine"],
            memory_bytes=own["memory"],
            vcpus=own["vcpus"],
            boot=boot,
            watchdog=watchdog,
            devices=devices,
            migration=migration,
            options=options,
        )
        self._fit_together(definition)
        return None if self.report.problems else definition

    def _fit_together(self, definition: Definition) -> None:
        """Ask each driver what it has against the whole, once each part of it is well written."""
        assert self.engine is not None  # without it there is a problem, and no definition
        parts: list[tuple[Driver, KeyPath, AnyMapping[str, Any]]] = [
            (self.engine, (), definition.options)
        ]
        if definition.watchdog is not None:
            guard = load(Kind.WATCHDOG, definition.watchdog.driver)
            parts.append((guard, ("watchdog",), definition.watchdog.options))
        for entry in definition.devices:
            driver = load(Kind.DEVICE, entry.driver)
            parts.append((driver, ("devices", entry.id), entry.options))
        for driver, path, options in parts:
            try:
                for found in misfits(driver, definition, options):
                    where = (*path, *found.path)
                    self.report.add(self._mark(where), where, found.what, found.hint)
            except DriverError as error:
                self.report.add(self._mark(path), path, error.message, error.hint)

    def _mark(self, path: KeyPath) -> Mark:
        """Return where a value stands, or the innermost section that the file has of its path."""
        node: Node = self.root
        mark = node.mark
        for key in path:
            if not isinstance(node, Mapping) or key not in node.values:
                break
            inner = node.values[str(key)]
            mark = node.keys[str(key)] if isinstance(inner, Mapping) else inner.mark
            node = inner
        return mark

    def _engine(self) -> Driver | None:
        if "engine" in self.root.values:
            return load_driver(Kind.ENGINE, self.root, "engine", (), self.report)
        try:
            return load(Kind.ENGINE, keys.DEFAULT_ENGINE)
        except DriverError as error:
            self.report.add(self.root.mark, ("engine",), error.message, error.hint)
            return None

    def _engine_options(self) -> dict[str, Any]:
        own = {*keys.domain_keys().keys, *keys.SECTIONS}
        if self.engine is None:
            self._unknown_keys(own)
            return {}
        section = driver_section(self.engine)
        own -= set(section.keys)
        return check(self.report, section, self.root, others=own) or {}

    def _unknown_keys(self, own: set[str]) -> None:
        """Without its engine, a file's other keys are wrong only if they resemble ours."""
        for key in () if self.report.full else self.root.values:
            hint = did_you_mean(key, sorted(own))
            if key not in own and hint.startswith("did you mean"):
                self.report.add(self.root.keys[key], (key,), f"unknown key '{key}'", hint)

    def _boot(self, options: dict[str, Any]) -> dict[str, Any]:
        if "boot" in options:
            own: dict[str, Any] = options.pop("boot")
            return own
        if self.engine is None or "boot" in driver_section(self.engine).keys:
            return {}
        node = self._section("boot")
        return {} if node is None else check(self.report, keys.boot_keys(), node, ("boot",)) or {}

    def _section(self, name: str) -> Mapping | None:
        node = self.root.values.get(name)
        mark = node.mark if node else self.root.mark
        return node if is_mapping(node, mark, (name,), self.report) else None

    def _migration(self) -> MigrationSettings:
        node = self._section("migration")
        if node is None:
            return MigrationSettings()
        read = check(self.report, keys.migration_keys(), node, ("migration",))
        if read is None:
            return MigrationSettings()
        return MigrationSettings(read["downtime_limit"], read["bandwidth"], read["timeout"])

    def _watchdog(self) -> WatchdogEntry | None:
        node = self._section("watchdog")
        if node is None:
            return None
        path, at = ("watchdog",), self.root.keys["watchdog"]
        driver = load_driver(Kind.WATCHDOG, node, "driver", path, self.report)
        options = self._options(driver, node, path, keys.watchdog_keys().keys, at)
        section = keys.watchdog_keys()
        own = check(self.report, section, node, path, only=section.keys, at=at)
        if own is None:
            return None
        action, escalate = Action(own["action"]), None
        if "escalate" in own:
            told = own["escalate"]
            escalate = Escalation(told["after"], told["within"], Action(told["action"]))
        self._can(driver, action, node, path)
        if escalate:
            inner = node.values["escalate"]
            assert isinstance(inner, Mapping)  # its schema said so
            self._can(None, escalate.action, inner, (*path, "escalate"))
        return WatchdogEntry(own["driver"], own["timeout"], action, escalate, options)

    def _can(self, driver: Driver | None, action: Action, node: Mapping, path: KeyPath) -> None:
        """Complain about an action that the engine, or the card itself, cannot do."""
        named = node.values.get("action", node.values.get("driver"))
        mark = named.mark if named else node.mark
        for able in (self.engine, driver):
            actions = None if able is None else getattr(able.cls, "ACTIONS", None)
            if able is not None and actions is not None and action not in actions:
                what = f"{able.kind} '{able.name}' cannot do action '{action}'"
                hint = f"it can: {', '.join(a for a in Action if a in actions) or 'none'}"
                self.report.add(mark, (*path, "action"), what, hint)

    def _devices(self) -> tuple[DeviceEntry, ...]:
        node = self._section("devices")
        found: list[DeviceEntry] = []
        if node is None:
            return ()
        for name, entry in node.values.items():
            device = None if self.report.full else self._device(name, entry, node)
            if device is not None:
                found.append(device)
        return tuple(found)

    def _device(self, name: str, entry: Node, devices: Mapping) -> DeviceEntry | None:
        path, at = ("devices", name), devices.keys[name]
        if name in keys.RESERVED_IDS:
            hint = "choose another id; a watchdog stands in its own section"
            self.report.add(at, path, f"'{name}' is reserved for the domain's watchdog", hint)
        elif not keys.matches(keys.DEVICE_ID, name):
            self.report.add(at, path, "is no id for a device", keys.NAMED_DEVICE)
        if not is_mapping(entry, entry.mark, path, self.report):
            return None
        driver = load_driver(Kind.DEVICE, entry, "driver", path, self.report)
        section = keys.device_keys()
        own = check(self.report, section, entry, path, only=section.keys, at=at)
        options = self._options(driver, entry, path, section.keys, at)
        if own is None:
            return None
        return DeviceEntry(name, own["driver"], options, own.get("timeouts", {}))

    def _options(
        self,
        driver: Driver | None,
        node: Mapping,
        path: KeyPath,
        own: tuple[str, ...],
        at: Mark,
    ) -> dict[str, Any]:
        """Check the driver's own keys of an entry, and that the engine knows the driver."""
        if driver is None:
            return {}
        problem = self.engine and misfit(self.engine, driver)
        if problem:
            self.report.add(node.values["driver"].mark, (*path, "driver"), *problem)
        return check(self.report, driver_section(driver), node, path, others=own, at=at) or {}
