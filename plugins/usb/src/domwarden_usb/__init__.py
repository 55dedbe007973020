"""The USB device of a domain."""
