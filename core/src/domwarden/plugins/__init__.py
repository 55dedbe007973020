"""Who is in the room (stevedore), and how the room is spoken to (pluggy)."""

from domwarden.plugins.listing import DriverInfo, installed
from domwarden.plugins.loading import Driver, load
from domwarden.plugins.offers import Kind, Offer, offers
from domwarden.plugins.room import WATCHDOG_ID, DomainRoom, open_room

__all__ = [
    "WATCHDOG_ID",
    "DomainRoom",
    "Driver",
    "DriverInfo",
    "Kind",
    "Offer",
    "installed",
    "load",
    "offers",
    "open_room",
]
