"""The Xen engine of domwarden."""

from domwarden_xen.engine import XenEngine

__all__ = ["XenEngine"]
