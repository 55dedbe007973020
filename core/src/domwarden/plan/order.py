"""The order of a move that meets no trouble."""

from __future__ import annotations

import enum


class Stage(enum.StrEnum):
    """One stage of a move, named as observers see it."""

    UNKNOWN = "unknown"
    TEST = "test"
    OPEN = "open"
    PREPARE = "prepare"
    PRECOPY = "precopy"
    SUSPEND = "suspend"
    START = "start"
    SYNC = "sync"
    COMPLETE = "complete"
    RELEASE = "release"
    GRANT = "grant"
    ACTIVATE = "activate"
    FINISH = "finish"
    STOP = "stop"
    CLOSE = "close"
    #: Only of a move that is given up.
    RECOVER = "recover"


#: The stages at which devices have jobs of their own, in the order in which they may be met.
JOB_STAGES: tuple[Stage, ...] = (
    Stage.TEST,
    Stage.OPEN,
    Stage.PREPARE,
    Stage.START,
    Stage.SYNC,
    Stage.FINISH,
    Stage.RECOVER,
    Stage.CLOSE,
)

#: (end, stage) of a migration; START runs on both ends at once.
ORDER: tuple[tuple[str, Stage], ...] = (
    ("source", Stage.TEST),
    ("destination", Stage.TEST),
    ("destination", Stage.OPEN),
    ("destination", Stage.PREPARE),
    ("source", Stage.PREPARE),
    ("source", Stage.PRECOPY),
    ("source", Stage.SUSPEND),
    ("source", Stage.START),
    ("destination", Stage.START),
    ("source", Stage.SYNC),
    ("source", Stage.COMPLETE),
    ("destination", Stage.SYNC),
    ("source", Stage.RELEASE),
    ("destination", Stage.GRANT),
    ("destination", Stage.ACTIVATE),
    ("destination", Stage.FINISH),
    ("source", Stage.FINISH),
    ("source", Stage.STOP),
    ("source", Stage.CLOSE),
)

#: (end, stage) of a save: the file is the destination, its rename is what makes it ready.
SAVE_ORDER: tuple[tuple[str, Stage], ...] = tuple(
    (end, stage) for end, stage in ORDER if end == "source"
)
