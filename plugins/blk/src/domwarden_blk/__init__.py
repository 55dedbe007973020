"""The disk of a domain."""
