"""Lists the installed drivers, the broken ones with what is wrong with them."""

from __future__ import annotations

import dataclasses
from typing import Any

from domwarden.contract import DriverError
from domwarden.plugins.hooks import implemented
from domwarden.plugins.loading import Driver, load, load_offer
from domwarden.plugins.offers import Kind, Offer, offers
from domwarden.plugins.options import json_schema_of, required_of
from domwarden.plugins.vetting import option_mapping


@dataclasses.dataclass(frozen=True)
class DriverInfo:
    """One driver as one distribution offers it; plain data.

    ``options`` maps each key of its SCHEMA to the key's JSON Schema, in which ``required`` is true
    where the key must be given.  ``error`` says why the driver cannot be used, else it is empty.
    """

    kind: Kind
    name: str
    distribution: str
    version: str
    contract: int | None = None
    hooks: tuple[str, ...] = ()
    options: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    error: str = ""


def installed() -> list[DriverInfo]:
    """Return every driver that any installed distribution offers; imports them all."""
    return [_info(offer) for kind in Kind for offer in offers(kind)]


def _info(offer: Offer) -> DriverInfo:
    try:
        driver = load_offer(offer)
        load(offer.kind, offer.name)  # another distribution may claim the same name
    except DriverError as error:
        return DriverInfo(
            offer.kind, offer.name, offer.distribution, offer.version, error=str(error)
        )
    return DriverInfo(
        offer.kind,
        offer.name,
        offer.distribution,
        offer.version,
        contract=driver.cls.contract,
        hooks=tuple(implemented(driver.cls)),
        options=options(driver),
    )


def options(driver: Driver) -> dict[str, dict[str, Any]]:
    """Return what each key of a driver's SCHEMA takes."""
    mapping = option_mapping(driver.cls.SCHEMA) or {}
    required = required_of(mapping)
    properties: dict[str, dict[str, Any]] = json_schema_of(mapping)["properties"]
    return {
        name: schema | ({"required": True} if name in required else {})
        for name, schema in properties.items()
    }
