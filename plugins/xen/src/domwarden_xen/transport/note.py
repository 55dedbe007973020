"""What a shim keeps of its move, durable before the word it speaks of is passed on."""

from __future__ import annotations

import dataclasses
import enum
import json
import os
from pathlib import Path
from typing import Self

from . import processes


class Phase(enum.StrEnum):
    """How far one end of a move is; each end goes through the members it has, in this order."""

    UNKNOWN = "unknown"
    #: Either: the process was asked for, and has not said anything yet.
    BEGUN = "begun"
    #: Destination: the receiver waits for its stream.
    LISTENING = "listening"
    #: Either: the stream flows.
    STREAMING = "streaming"
    #: Source: the stream has ended, the domain is suspended.
    SENT = "sent"
    #: Either: the copy over there is whole and held; *ready* is not passed on to the source's xl.
    READY = "ready"
    #: Source: *ready* may have been passed on: xl renames its copy and says *go*.
    TOLD = "told"
    #: Source: *go* was read and is held, so xl cannot resume any more.  Destination: *go* may have
    #: been passed on.
    GO = "go"
    #: Source: its xl was told that the copy over there runs.  Destination: its xl gave the copy its
    #: name, and said so; the copy is still paused.
    STARTED = "started"
    #: Source: its xl was told to resume.  Destination: its xl destroyed the copy.
    GIVEN_BACK = "given-back"
    #: Either: the move cannot go on, and xl was let go.
    FAILED = "failed"


#: From these on nothing more happens by itself.
LAST = frozenset({Phase.STARTED, Phase.GIVEN_BACK, Phase.FAILED})


@dataclasses.dataclass(frozen=True)
class Note:
    """One end of one move, in one small file."""

    migration: str
    phase: Phase
    boot_id: str
    #: The copy that leaves; -1 at the destination, where Xen has yet to choose.
    domid: int = -1
    #: The shim, then xl: pid and start time (proc(5), field 22), by which a recycled pid differs.
    shim: tuple[int, int] = (0, 0)
    xl: tuple[int, int] = (0, 0)
    #: Where the destination listens.
    port: int = 0
    #: What went wrong.
    problem: str = ""

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read it; None when there is none; raises ValueError when it is unreadable."""
        try:
            data = json.loads(path.read_text())
            return cls(
                **{
                    **data,
                    "phase": Phase(data["phase"]),
                    "shim": tuple(data["shim"]),
                    "xl": tuple(data["xl"]),
                }
            )
        except FileNotFoundError:
            return None
        except (OSError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path}: unreadable note: {error}") from error

    def save(self, path: Path) -> None:
        """Replace the file in one step, and see it on the disk."""
        partial = path.with_suffix(".new")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, json.dumps(dataclasses.asdict(self)).encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.replace(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @property
    def stale(self) -> bool:
        """Whether it is from before the last boot: then no copy of it is left."""
        return self.boot_id != processes.boot_id()

    @property
    def shim_lives(self) -> bool:
        """Whether the process that wrote it is still there."""
        return not self.stale and processes.lives(*self.shim)

    @property
    def xl_lives(self) -> bool:
        """Whether its xl is still there, and could act."""
        return not self.stale and processes.lives(*self.xl)
