"""The host process: what one host does with its domains."""

from domwarden.warden.status import DomainStatus, Operation
from domwarden.warden.verdict import Plan
from domwarden.warden.warden import Warden

__all__ = ["DomainStatus", "Operation", "Plan", "Warden"]
