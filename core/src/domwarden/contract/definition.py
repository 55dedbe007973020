"""One domain as plain data: what its file says, or what it was really started with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from domwarden.contract.watchdog import Action


@dataclasses.dataclass(frozen=True)
class DeviceEntry:
    """One entry under ``devices``: the YAML id, the driver, the driver's validated options.

    ``timeouts`` are the user's, in seconds by step: they replace those of the driver's own jobs.
    """

    id: str
    driver: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    timeouts: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Escalation:
    """After ``after`` expiries within ``within_seconds`` another action replaces the usual one."""

    after: int
    within_seconds: float
    action: Action


@dataclasses.dataclass(frozen=True)
class WatchdogEntry:
    """The ``watchdog`` entry: driver, the guest's intended time-out, action, escalation."""

    driver: str
    timeout_seconds: float = 30.0
    action: Action = Action.RESET
    escalate: Escalation | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class MigrationSettings:
    """Limits of a live migration: seconds, and bytes a second."""

    downtime_limit_seconds: float = 0.3
    bandwidth_bytes_per_second: int = 10 * 1024**3
    timeout_seconds: float = 120.0


@dataclasses.dataclass(frozen=True)
class Definition:
    """A whole domain.

    ``options`` are the engine's own keys of the file.  ``live`` is empty in a definition that comes
    from a file; in the *live definition* it holds what the engine really started (versioned machine
    type, CPU model, device addresses, MACs, actions), and migration and restore use exactly that.
    """

    name: str
    uuid: str
    engine: str
    memory_bytes: int
    vcpus: int = 1
    boot: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    watchdog: WatchdogEntry | None = None
    devices: tuple[DeviceEntry, ...] = ()
    migration: MigrationSettings = dataclasses.field(default_factory=MigrationSettings)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    live: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def device(self, device_id: str) -> DeviceEntry:
        """Return the device with that YAML id; raises ``KeyError``."""
        for entry in self.devices:
            if entry.id == device_id:
                return entry
        raise KeyError(device_id)

    def as_json(self) -> dict[str, Any]:
        """Return the definition as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Definition:
        """Rebuild a definition from what :meth:`as_json` returned."""
        fields = dict(data)
        fields["devices"] = tuple(DeviceEntry(**entry) for entry in data.get("devices", ()))
        fields["migration"] = MigrationSettings(**data.get("migration", {}))
        if data.get("watchdog") is not None:
            watchdog = dict(data["watchdog"])
            watchdog["action"] = Action(watchdog["action"])
            if watchdog.get("escalate") is not None:
                escalate = dict(watchdog["escalate"])
                escalate["action"] = Action(escalate["action"])
                watchdog["escalate"] = Escalation(**escalate)
            fields["watchdog"] = WatchdogEntry(**watchdog)
        return cls(**fields)
