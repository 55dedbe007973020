"""Turns a driver's name into its class, or into one clear line that says why not."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib.metadata
import sys
from typing import Any

from domwarden.contract import DriverError
from domwarden.plugins.lines import one_line
from domwarden.plugins.offers import Kind, Offer, names, offers
from domwarden.plugins.vetting import faults


@dataclasses.dataclass(frozen=True)
class Driver:
    """A driver's class that keeps the contract, and where it comes from."""

    kind: Kind
    name: str
    cls: Any
    distribution: str
    version: str


def load(kind: Kind, name: str) -> Driver:
    """Return the installed driver of that name; imports exactly that one.

    Raises DriverError when there is none, when several distributions claim the name, when it cannot
    be imported, or when it breaks the contract.
    """
    loaded = _load(kind, name, tuple(sys.path))
    if isinstance(loaded, DriverError):
        raise loaded.with_traceback(None)
    return loaded


@functools.lru_cache(maxsize=1024)
def _load(kind: Kind, name: str, _path: tuple[str, ...]) -> Driver | DriverError:
    """Load once for each state of ``sys.path``; a failed import is not tried again either."""
    found = [offer for offer in offers(kind) if offer.name == name]
    if not found:
        return _missing(kind, name)
    # stevedore finds a clash only between neighbours, and lets the last one win: count here.
    if len(found) > 1:
        claimants = " and ".join(f"{offer} ({offer.target})" for offer in found)
        return DriverError(
            f"{kind} driver '{name}' is offered by {claimants}",
            distribution=found[0].distribution,
            version=found[0].version,
            hint="uninstall all but one of them",
        )
    return _load_offer(found[0])


def load_offer(offer: Offer) -> Driver:
    """Return the driver behind one offer, also where another distribution claims its name."""
    loaded = _load_offer(offer)
    if isinstance(loaded, DriverError):
        raise loaded.with_traceback(None)
    return loaded


@functools.lru_cache(maxsize=1024)
def _load_offer(offer: Offer) -> Driver | DriverError:
    problems: list[str] = []
    cls: Any = None
    try:
        cls = _import(offer)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - importing runs a stranger's code
        problems = [f"cannot be imported: {one_line(error)}"]
    else:
        problems = faults(offer.kind, cls)
    if problems:
        return DriverError(
            f"{offer}: {offer.kind} driver '{offer.name}' ({offer.target}) {'; '.join(problems)}",
            distribution=offer.distribution,
            version=offer.version,
        )
    return Driver(offer.kind, offer.name, cls, offer.distribution, offer.version)


def _import(offer: Offer) -> Any:
    """Let stevedore import what the offer names; raises what the import raises."""
    from stevedore.named import NamedExtensionManager  # here, because it costs 90 ms

    failures: list[BaseException] = []

    class OneOffer(NamedExtensionManager):  # type: ignore[type-arg]  # 5.2 is not generic
        # stevedore's own list comes from a cache in the user's home that forgets the distribution
        # and may be two minutes behind (it hashes modification times as 32-bit floats).
        def list_entry_points(self) -> list[importlib.metadata.EntryPoint]:
            return [offer.entry_point]

    manager = OneOffer(
        offer.kind.group,
        [offer.name],
        on_load_failure_callback=lambda _manager, _entry_point, error: failures.append(error),
        on_missing_entrypoints_callback=lambda _names: None,  # 5.2 logs without one
    )
    if failures:
        raise failures[0]
    return manager.extensions[0].plugin


def _missing(kind: Kind, name: str) -> DriverError:
    installed = f"installed: {', '.join(names(kind)) or 'none'}"
    close = difflib.get_close_matches(name, names(kind), n=1)
    others = [other for other in Kind if other is not kind and name in names(other)]
    if close:
        hint = f"did you mean '{close[0]}'? {installed}"
    elif others:
        hint = f"it is the name of a driver of another kind, {' and '.join(others)}; {installed}"
    else:
        hint = f"install the distribution that brings it; {installed}"
    return DriverError(f"no {kind} driver '{name}' is installed", hint=hint)
