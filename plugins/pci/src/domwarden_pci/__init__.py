"""The PCI device of a domain."""
