"""USB devices of domains."""

from domwarden_usb.driver import Usb

__all__ = ["Usb"]
