"""The guest that a script moves by bare QMP."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
import os
import re
import signal
import sys
import time
from typing import Any, ClassVar

from . import bare
from .calm import calm
from .moved_by_domwarden import Domwarden
from .mover import Mover, Way


@dataclasses.dataclass
class Bare(Mover):
    """The guest that the script moves; its command lines are domwarden's own."""

    FOLDER: ClassVar[str] = "qm"
    bytes_per_second: int = 0
    argv: list[str] = dataclasses.field(default_factory=list)
    pid: int | None = None

    def learn(self, model: Domwarden) -> list[str]:
        """Return the other guest's present command line, with this one's host and files in it."""
        ours, theirs = str(self.folder), str(model.folder)
        return [word.replace(theirs, ours) for word in model.argv()]

    async def start(self, model: Domwarden) -> None:
        """Start a guest like the other one on host a."""
        argv = self.learn(model)
        self.bytes_per_second = model.bytes_per_second
        for made in [path for path in (model.folder / "a").rglob("*") if path.is_dir()]:
            for host in "ab":  # what domwarden made for QEMU's files
                place = self.folder / host / made.relative_to(model.folder / "a")
                place.mkdir(parents=True, exist_ok=True)
        directory = self.directory("a")
        self.pid = bare.spawn(argv, directory)
        await self.prepare()

    async def move(self, way: Way) -> float:
        """Move it by the script as a command, or by its function here."""
        places = [f"{self.folder}/{host}/" for host in "ab"]
        there = f"{self.folder}/{self.other}/"
        argv = [re.sub("|".join(map(re.escape, places)), there, word) for word in self.argv]
        request: dict[str, Any] = {
            "argv": argv,
            "source": str(self.directory(self.host)),
            "destination": str(self.directory(self.other)),
            "source_pid": self.pid,
            "parameters": {"max-bandwidth": self.bytes_per_second, "downtime-limit": 300},
        }
        await calm()
        begun = time.monotonic()
        done = await (_script(request) if way is Way.COMMAND else bare.move(request))
        elapsed = time.monotonic() - begun
        self._reap()
        self.pid, self.host = done["pid"], self.other
        pairs = itertools.pairwise(done["over"].items())
        self.parts = {name: ended - begun for (_, begun), (name, ended) in pairs}
        return elapsed

    async def stop(self) -> None:
        """Kill it."""
        if self.pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._reap(0)

    def _reap(self, flags: int = os.WNOHANG) -> None:
        if self.pid is not None:
            with contextlib.suppress(ChildProcessError):  # the script's child, not ours
                os.waitpid(self.pid, flags)


async def _script(request: dict[str, Any]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        bare.__file__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(json.dumps(request).encode())
    if process.returncode != 0:
        raise RuntimeError("the bare script failed")
    answer: dict[str, Any] = json.loads(out)
    return answer
