"""Which distributions offer which drivers, read from their metadata without importing them."""

from __future__ import annotations

import dataclasses
import enum
import functools
import importlib.metadata
import logging
import sys
from collections.abc import Iterable

from domwarden.plugins.lines import one_line

_LOG = logging.getLogger(__name__)


class Kind(enum.StrEnum):
    """The kinds of drivers; each has an entry-point group of its own."""

    ENGINE = "engine"
    DEVICE = "device"
    WATCHDOG = "watchdog"
    #: One of the machine's own watchdogs, for `domwarden guard`.
    HOST_WATCHDOG = "host watchdog"

    @property
    def group(self) -> str:
        """The entry-point group in which distributions offer drivers of this kind."""
        return f"domwarden.{self.value.replace(' ', '_')}s"


@dataclasses.dataclass(frozen=True)
class Offer:
    """One name that one installed distribution gives to a driver."""

    kind: Kind
    name: str
    target: str
    distribution: str
    version: str
    entry_point: importlib.metadata.EntryPoint

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


def offers(kind: Kind) -> tuple[Offer, ...]:
    """Return what the installed distributions offer, by name; a clash is two offers of one name."""
    return _scan(tuple(sys.path))[kind]


def names(kind: Kind) -> list[str]:
    """Return the names of the installed drivers of a kind."""
    return sorted({offer.name for offer in offers(kind)})


def _entry_points(
    distribution: importlib.metadata.Distribution,
) -> Iterable[importlib.metadata.EntryPoint]:
    """Return a distribution's entry points; a torn file of one must not hide all the others."""
    try:
        return tuple(distribution.entry_points)
    except Exception as error:  # noqa: BLE001 - the parser raises whatever the text leads it to
        where = getattr(distribution, "_path", "a distribution")  # without a name, its folder
        _LOG.warning("%s: entry_points.txt cannot be read: %s", where, one_line(error))
        return ()


def _said(distribution: importlib.metadata.Distribution, key: str, otherwise: str) -> str:
    return next(iter(distribution.metadata.get_all(key) or ()), otherwise)


@functools.lru_cache(maxsize=8)
def _scan(_path: tuple[str, ...]) -> dict[Kind, tuple[Offer, ...]]:
    """Read the metadata once for each state of ``sys.path``."""
    found: dict[Kind, dict[tuple[str, str, str], Offer]] = {kind: {} for kind in Kind}
    kinds = {kind.group: kind for kind in Kind}
    for distribution in importlib.metadata.distributions():
        for entry_point in _entry_points(distribution):
            kind = kinds.get(entry_point.group)
            if kind is None:
                continue
            offer = Offer(
                kind=kind,
                name=entry_point.name,
                target=entry_point.value,
                distribution=_said(distribution, "Name", "unnamed distribution"),
                version=_said(distribution, "Version", "of unknown version"),
                entry_point=entry_point,
            )
            # One distribution may be found twice (an editable install beside its wheel's remains);
            # the first on the path is the one that gets imported.
            found[kind].setdefault((offer.distribution, offer.name, offer.target), offer)
    return {
        kind: tuple(sorted(by_key.values(), key=lambda o: (o.name, o.distribution)))
        for kind, by_key in found.items()
    }
