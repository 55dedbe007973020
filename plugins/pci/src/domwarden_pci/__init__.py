"""PCI devices of domains."""

from domwarden_pci.driver import Pci

__all__ = ["Pci"]
