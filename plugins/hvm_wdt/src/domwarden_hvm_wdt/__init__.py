"""The emulated hardware watchdog cards."""

from domwarden_hvm_wdt.i6300esb import I6300esb
from domwarden_hvm_wdt.ib700 import Ib700

__all__ = ["I6300esb", "Ib700"]
