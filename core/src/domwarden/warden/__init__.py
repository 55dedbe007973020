"""The host process: what one host does with its domains."""

from domwarden.warden.evacuation import (
    Departures,
    Ended,
    Evacuated,
    Evacuator,
    trip_as_json,
    unheard,
)
from domwarden.warden.looks import Looks, MoveState, MoveStatus
from domwarden.warden.status import DomainStatus, Operation
from domwarden.warden.verdict import Plan
from domwarden.warden.warden import Warden

__all__ = [
    "Departures",
    "DomainStatus",
    "Ended",
    "Evacuated",
    "Evacuator",
    "Looks",
    "MoveState",
    "MoveStatus",
    "Operation",
    "Plan",
    "Warden",
    "trip_as_json",
    "unheard",
]
