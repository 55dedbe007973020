"""The demonstration on the two Xen hosts."""
