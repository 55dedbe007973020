"""The four steps of a device's move."""

from __future__ import annotations

import enum


class Step(enum.IntEnum):
    """One of the four questions each device is asked when its domain moves."""

    #: May this device move at all? Quick, changes nothing.
    TEST = 0
    #: The domain still runs: do whatever can be done early.
    PREPARE = 1
    #: The domain is suspended: start moving, in the background.
    START = 2
    #: Wait until what START began is complete; then the domain resumes over there.
    SYNC = 3


class End(enum.StrEnum):
    """Which of the two ends of a move a hook is called on."""

    SOURCE = "source"
    DESTINATION = "destination"


class Movement(enum.StrEnum):
    """Why the domain leaves its place."""

    MIGRATE = "migrate"
    SAVE = "save"
    RESTORE = "restore"
