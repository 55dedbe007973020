"""The command line: one file a verb."""

import gc

# What is imported stays: looking through it again and again is a tenth of a verb's start.
gc.set_threshold(20_000)

from domwarden.cli.main import main  # noqa: E402 - the line above is for what this one loads

__all__ = ["main"]
