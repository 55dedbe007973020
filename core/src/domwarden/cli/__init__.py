"""The command line: one file a verb."""

from domwarden.cli.main import main

__all__ = ["main"]
