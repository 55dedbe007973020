"""Performs plans: steps, peers, recovery."""

from domwarden.migration.hub import Hub
from domwarden.migration.link import Link, LocalLink, Message
from domwarden.migration.moments import Moment, Observer, What, ignore
from domwarden.migration.moving import live_domain, migrate, plan_move
from domwarden.migration.outcome import (
    Moved,
    MoveFailedError,
    Outcome,
    Restored,
    Saved,
    Settled,
)
from domwarden.migration.outlook import Unfinished, outlook
from domwarden.migration.reclaiming import Reclaimable, reclaim, reclaimable
from domwarden.migration.restoring import ask_epochs, restore
from domwarden.migration.saving import save
from domwarden.migration.site import Ports, Site
from domwarden.migration.timeline import Span, Timeline

__all__ = [
    "Hub",
    "Link",
    "LocalLink",
    "Message",
    "Moment",
    "MoveFailedError",
    "Moved",
    "Observer",
    "Outcome",
    "Ports",
    "Reclaimable",
    "Restored",
    "Saved",
    "Settled",
    "Site",
    "Span",
    "Timeline",
    "Unfinished",
    "What",
    "ask_epochs",
    "ignore",
    "live_domain",
    "migrate",
    "outlook",
    "plan_move",
    "reclaim",
    "reclaimable",
    "restore",
    "save",
]
