"""The network card of a domain."""
