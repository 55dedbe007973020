"""The core's own keys of domain and host files."""

from __future__ import annotations

import functools
import re
from typing import Any

from domwarden.config.link import Address
from domwarden.config.schemas import Section, section
from domwarden.contract import (
    Action,
    MigrationSettings,
    Stream,
    WatchdogEntry,
    duration,
    path,
    rate,
    size,
)
from domwarden.plan import JOB_STAGES
from domwarden.plugins import WATCHDOG_ID

#: Safe as names of files, sockets and QEMU's ids, which begin with a letter
#: (https://gitlab.com/qemu-project/qemu, util/id.c); short enough for a socket's path (108 bytes).
#: ``$`` alone would let a line break follow.
DOMAIN_NAME = r"[A-Za-z][A-Za-z0-9._-]{0,47}$(?!\n)"
#: As above, and short enough that a QEMU node name (31 bytes) has room for a suffix.
DEVICE_ID = r"[A-Za-z][A-Za-z0-9._-]{0,23}$(?!\n)"
HOST_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}$(?!\n)"
_UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$(?!\n)"

#: The sections of a domain file that are mappings of their own.
SECTIONS = ("boot", "watchdog", "devices", "migration")
DEFAULT_ENGINE = "embedded"
DEFAULT_STATE = "/var/lib/domwarden"
RESERVED_IDS = (WATCHDOG_ID,)

_MEMORY = (1024**2, 64 * 1024**4)
_VCPUS = (1, 4096)
_THEN = "then letters, digits, '.', '_' or '-', at most"
NAMED_DOMAIN = f"expected a letter, {_THEN} 48 in all"
NAMED_DEVICE = f"expected a letter, {_THEN} 24 in all"
NAMED_HOST = f"expected a letter or digit, {_THEN} 63 in all"


def matches(pattern: str, name: str) -> bool:
    """Say whether a name is one."""
    return re.match(pattern, name) is not None


@functools.cache
def domain_keys() -> Section:
    """Return the keys of a domain that hold one value each."""
    import voluptuous as v  # here, because `domwarden --help` must not pay for it

    memory = v.All(size, v.Range(*_MEMORY, msg="expected at least 1MiB and at most 64TiB"))
    vcpus = v.All(int, v.Range(*_VCPUS, msg="expected a whole number from 1 to 4096"))
    uuid = v.All(str, v.Match(_UUID, msg="expected a UUID: 8-4-4-4-12 hexadecimal digits"), v.Lower)
    return _own({
        v.Required("domain", description="The domain's name, unique among its hosts."):
            v.All(str, v.Match(DOMAIN_NAME, msg=NAMED_DOMAIN)),
        v.Optional("uuid", description="By default it follows from the name."): uuid,
        v.Optional("engine", default=DEFAULT_ENGINE, description="The driver of the hypervisor."):
            str,
        v.Required("memory", description="The guest's memory, such as 256MiB."): memory,
        v.Optional("vcpus", default=1, description="The guest's processors."): vcpus,
    })  # fmt: skip


@functools.cache
def boot_keys() -> Section:
    """Return the keys of ``boot`` where the engine's SCHEMA has none of its own."""
    import voluptuous as v  # as above

    return _own({
        v.Optional("kernel", description="A kernel image to boot directly."): path,
        v.Optional("initrd", description="Its initial RAM disk."): path,
        v.Optional("cmdline", description="Its command line."): str,
    })  # fmt: skip


@functools.cache
def watchdog_keys() -> Section:
    """Return the keys of ``watchdog`` that no driver owns."""
    import voluptuous as v  # as above

    actions = [action.value for action in Action]
    default = WatchdogEntry("")
    return _own({
        v.Required("driver", description="The watchdog's driver; `domwarden plugins` lists them."):
            str,
        v.Optional("timeout", default=f"{default.timeout_seconds:g}s",
                   description="What the guest will ask for; judges predicted blackouts."):
            _positive_duration(),
        v.Optional("action", default=default.action.value,
                   description="What the hypervisor does when the guest stopped kicking."):
            v.In(actions),
        v.Optional("escalate", description="Another action instead of a reboot loop."): {
            v.Required("after", description="So many expiries, such as 3."):
                v.All(int, v.Range(1, 1000, msg="expected a whole number from 1 to 1000")),
            v.Required("within", description="In so short a time, such as 10min."):
                _positive_duration(),
            v.Required("action", description="What is done then, such as pause."): v.In(actions),
        },
    })  # fmt: skip


@functools.cache
def device_keys() -> Section:
    """Return the keys of a device that its driver does not own."""
    import voluptuous as v  # as above

    longest = "How long a job of that step may take after its last report, such as 30s."
    return _own({
        v.Required("driver", description="The device's driver; `domwarden plugins` lists them."):
            str,
        v.Optional("timeouts", description="Time-outs by step, instead of the driver's own."): {
            v.Optional(stage.value, description=longest): _positive_duration()
            for stage in JOB_STAGES
        },
    })  # fmt: skip


@functools.cache
def migration_keys() -> Section:
    """Return the keys of ``migration``."""
    import voluptuous as v  # as above

    default = MigrationSettings()
    gibibytes = default.bandwidth_bytes_per_second // 1024**3
    return _own({
        v.Optional("downtime_limit", default=f"{default.downtime_limit_seconds * 1000:g}ms",
                   description="The longest blackout that pre-copy aims at."):
            _positive_duration(),
        v.Optional("bandwidth", default=f"{gibibytes}GiB/s",
                   description="The most that the transfer may take."):
            v.All(rate, v.Range(min=1, msg="expected more than nothing")),
        v.Optional("timeout", default=f"{default.timeout_seconds:g}s",
                   description="How long pre-copy may take before the move is given up."):
            _positive_duration(),
    })  # fmt: skip


@functools.cache
def host_keys() -> Section:
    """Return the keys of a host file."""
    import voluptuous as v  # as above

    name = v.All(str, v.Match(HOST_NAME, msg=NAMED_HOST))
    return _own({
        v.Required("host", description="This host's name, as its peers call it."): name,
        v.Optional("state", default=DEFAULT_STATE, description="Where state is kept."): path,
        v.Optional("listen", description="Where peers reach this host, such as 10.0.0.1."): address,
        v.Optional("tls", description="The files of its links; `domwarden pki` makes them."): {
            v.Optional("authority", description="The certificate of who signs hosts."): path,
            v.Optional("certificate", description="This host's; it names the host."): path,
            v.Optional("key", description="The certificate's private key."): path,
        },
        v.Optional("streams", default=Stream.TLS.value,
                   description="Whether memory and disks travel encrypted: tls, or plain."):
            v.In([Stream.TLS.value, Stream.PLAIN.value]),
        v.Optional("socket", description="Where `domwarden serve` answers."): path,
    })  # fmt: skip


@functools.cache
def peer_keys() -> Section:
    """Return the keys of one peer in a host file."""
    import voluptuous as v  # as above

    word = v.All(str, v.Length(min=1, msg="expected a word"))
    words = v.All([word], v.Length(min=1, msg="expected at least one word"))
    return _own({
        v.Optional("address", description="Where its domwarden listens, such as m2."): address,
        v.Optional("config", description="The peer's host file, where it is on this machine."):
            path,
        v.Optional("command", description="What runs `domwarden peer` over there, by words."):
            words,
        v.Optional(
            "silence",
            default="15s",
            description="How long that peer may say nothing until it counts as gone.",
        ): v.All(duration, v.Range(5, 600, msg="expected 5 s to 10 min")),
        v.Optional("may_evacuate", description="Whether that peer may have this host emptied."):
            bool,
    })  # fmt: skip


def address(value: Any) -> str:
    """Return ``HOST:PORT`` from that, or from a host alone; raises voluptuous.Invalid."""
    import voluptuous as v  # as above

    try:
        return str(Address.parse(value if isinstance(value, str) else ""))
    except ValueError as error:
        raise v.Invalid(str(error)) from None


def _positive_duration() -> Any:
    import voluptuous as v  # as above

    most = 10 * 365 * 86400.0
    wanted = "expected more than nothing and at most ten years"
    return v.All(duration, v.Range(0, most, min_included=False, msg=wanted))


def _own(schema: dict[Any, Any]) -> Section:
    return section(schema, "domwarden")
