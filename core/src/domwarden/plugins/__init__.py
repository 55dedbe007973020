"""Who is in the room (stevedore), and how the room is spoken to (pluggy)."""

from domwarden.plugins.loading import Driver, load
from domwarden.plugins.offers import Kind, Offer, offers
from domwarden.plugins.room import DomainRoom, open_room

__all__ = ["DomainRoom", "Driver", "Kind", "Offer", "load", "offers", "open_room"]
