"""The schemas of what requests say."""

from __future__ import annotations

from typing import Any

import voluptuous as v

from domwarden.config import keys
from domwarden.plan import Limits, Policy

#: Absolute, because the service's own directory is nobody else's; no control characters, and
#: nothing that is no text.
PATH = v.All(
    str,
    v.Length(max=4000, msg="expected at most 4000 characters"),
    v.Match("/[^\x00-\x1f\x7f\ud800-\udfff]*$(?!\n)", msg="expected an absolute path"),
)
DOMAIN = v.All(str, v.Match(keys.DOMAIN_NAME, msg=keys.NAMED_DOMAIN))
HOST = v.All(str, v.Match(keys.HOST_NAME, msg=keys.NAMED_HOST))
HOSTS = v.All([HOST], v.Length(max=64, msg="expected at most 64 hosts"))
FENCED = "Peers that are known to be off: saying so of one that is not can run the domain twice."


def start() -> dict[Any, Any]:
    """Return what a domain is started with."""
    return {
        v.Required("path", description="The domain's file, on the service's machine."): PATH,
        v.Optional("paused", default=False, description="Before its first instruction."): bool,
        v.Optional("fenced", default=list, description=FENCED): HOSTS,
    }


def status() -> dict[Any, Any]:
    """Return whom one looks at."""
    return {v.Optional("domain", description="Only this domain."): DOMAIN}


def stop() -> dict[Any, Any]:
    """Return how a domain is stopped."""
    return {
        v.Optional(
            "graceful_seconds",
            default=0,
            description="Ask the guest first, and wait this long for it.",
        ): v.All(float, v.Range(0, 86400, msg="expected 0 to 86400")),
    }


def nothing() -> dict[Any, Any]:
    """Return that there is nothing to say."""
    return {}


def plan() -> dict[Any, Any]:
    """Return what a plan is asked for."""
    return {v.Required("to", description="A peer of the host file."): HOST}


def migrate() -> dict[Any, Any]:
    """Return what is moved where."""
    return {
        v.Required("domain", description="A domain that runs here."): DOMAIN,
        v.Required("to", description="A peer of the host file."): HOST,
    }


def save() -> dict[Any, Any]:
    """Return what is saved where."""
    return {
        v.Required("domain", description="A domain that runs here."): DOMAIN,
        v.Required("path", description="A directory that must not exist yet."): PATH,
    }


def restore() -> dict[Any, Any]:
    """Return what is restored."""
    return {
        v.Required("path", description="The directory of a save."): PATH,
        v.Optional("fenced", default=list, description=FENCED): HOSTS,
    }


def evacuate() -> dict[Any, Any]:
    """Return how a host is emptied."""
    at_once = v.All(int, v.Range(1, 10000, msg="expected 1 to 10000"))
    default = Limits()
    per_host = "At most so many moves at once at any host."
    per_link = "At most so many moves at once between two hosts."
    return {
        v.Optional("to", default=list, description="Only to these peers; else to any."): HOSTS,
        v.Optional("parallel_per_host", default=default.per_host, description=per_host): at_once,
        v.Optional("parallel_per_link", default=default.per_link, description=per_link): at_once,
        v.Optional(
            "policy", default=Policy.LARGEST_FIRST.value, description="Who leaves first."
        ): v.In([policy.value for policy in Policy]),
        v.Optional("dry_run", default=False, description="Say it, and change nothing."): bool,
    }


def reclaimable() -> dict[Any, Any]:
    """Return how a domain would be taken back."""
    gone = v.All(HOSTS, v.Length(min=1, msg="expected at least one host"))
    cold = "Destroy the suspended copy; the domain is then to be started."
    return {
        v.Required("fenced", description=FENCED): gone,
        v.Optional("cold", default=False, description=cold): bool,
    }


def reclaim() -> dict[Any, Any]:
    """Return which domain is taken back, and how."""
    domain = v.Required("domain", description="A domain that was released to a host that is gone.")
    return {domain: DOMAIN, **reclaimable()}
