"""The disk of a domain."""

from domwarden_blk.driver import Blk

__all__ = ["Blk"]
