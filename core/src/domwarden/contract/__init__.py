"""The public door: all that a plugin may import."""

from domwarden.contract.control import EmbeddedControl, QemuControl
from domwarden.contract.definition import (
    Definition,
    DeviceEntry,
    Escalation,
    MigrationSettings,
    WatchdogEntry,
)
from domwarden.contract.disk import (
    DISK_BASE,
    DISK_MAGIC,
    DISK_SECTOR_BYTES,
    DISK_SLOTS,
    DISK_STRIDE,
    DiskCommand,
    DiskRegister,
)
from domwarden.contract.domain import Domain, Host
from domwarden.contract.embedded import EmbeddedHooks
from domwarden.contract.engine import (
    Address,
    Engine,
    Event,
    EventKind,
    Incoming,
    Observation,
    OnProgress,
    Outgoing,
    Progress,
    Room,
    RunState,
)
from domwarden.contract.errors import (
    BrokenError,
    ConfigError,
    ConflictError,
    DomwardenError,
    DriverError,
    EngineError,
    GuestStoppedError,
    OutcomeUnknownError,
    PermanentError,
    Problem,
    RefusedError,
    TransientError,
)
from domwarden.contract.hooks import CONTRACT, DeviceHooks, hookimpl, hookspec
from domwarden.contract.host_watchdog import HostWatchdog, WatchdogAbsentError
from domwarden.contract.hotplug import Hotplug
from domwarden.contract.jobs import TICKET_LIMIT_BYTES, Job, JobContext, JobResult, Ticket
from domwarden.contract.machine import BusDevice, Machine, ResetKind, Timer
from domwarden.contract.memory import available_memory_bytes
from domwarden.contract.misfit import Misfit
from domwarden.contract.qemu import QemuArgument, QemuHooks
from domwarden.contract.refusals import Refusal
from domwarden.contract.scope import in_scope
from domwarden.contract.steps import End, Movement, Step
from domwarden.contract.streams import Stream, Tls, stays_here, stream_at, stream_refusals
from domwarden.contract.units import duration, path, rate, relative_to, size
from domwarden.contract.watchdog import Action, Armed, Expiry, Reading, TimerClock
from domwarden.contract.xen import (
    SCHED_OP,
    SCHED_WATCHDOG,
    SCHEDOP_WATCHDOG,
    WatchdogAction,
    WatchdogExtension,
)
from domwarden.contract.xl import XenHooks

__all__ = [
    "CONTRACT",
    "DISK_BASE",
    "DISK_MAGIC",
    "DISK_SECTOR_BYTES",
    "DISK_SLOTS",
    "DISK_STRIDE",
    "SCHEDOP_WATCHDOG",
    "SCHED_OP",
    "SCHED_WATCHDOG",
    "TICKET_LIMIT_BYTES",
    "Action",
    "Address",
    "Armed",
    "BrokenError",
    "BusDevice",
    "ConfigError",
    "ConflictError",
    "Definition",
    "DeviceEntry",
    "DeviceHooks",
    "DiskCommand",
    "DiskRegister",
    "Domain",
    "DomwardenError",
    "DriverError",
    "EmbeddedControl",
    "EmbeddedHooks",
    "End",
    "Engine",
    "EngineError",
    "Escalation",
    "Event",
    "EventKind",
    "Expiry",
    "GuestStoppedError",
    "Host",
    "HostWatchdog",
    "Hotplug",
    "Incoming",
    "Job",
    "JobContext",
    "JobResult",
    "Machine",
    "MigrationSettings",
    "Misfit",
    "Movement",
    "Observation",
    "OnProgress",
    "OutcomeUnknownError",
    "Outgoing",
    "PermanentError",
    "Problem",
    "Progress",
    "QemuArgument",
    "QemuControl",
    "QemuHooks",
    "Reading",
    "Refusal",
    "RefusedError",
    "ResetKind",
    "Room",
    "RunState",
    "Step",
    "Stream",
    "Ticket",
    "Timer",
    "TimerClock",
    "Tls",
    "TransientError",
    "WatchdogAbsentError",
    "WatchdogAction",
    "WatchdogEntry",
    "WatchdogExtension",
    "XenHooks",
    "available_memory_bytes",
    "duration",
    "hookimpl",
    "hookspec",
    "in_scope",
    "path",
    "rate",
    "relative_to",
    "size",
    "stays_here",
    "stream_at",
    "stream_refusals",
]
