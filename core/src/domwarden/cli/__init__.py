"""The command line: one file a verb."""

import gc

# What is imported stays: looking through it again and again is a tenth of a verb's start.
gc.disable()

from domwarden.cli.main import main  # noqa: E402 - the line above is for what this one loads

gc.freeze()
gc.enable()

__all__ = ["main"]
