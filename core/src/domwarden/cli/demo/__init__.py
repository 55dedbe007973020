"""``domwarden demo``: a domain is guarded, hung, reset, and moved whole."""

from domwarden.cli.demo.command import command

__all__ = ["command"]
