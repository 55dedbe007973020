"""The saves' files: what was not synced before a power cut is cut short, or gone."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
from pathlib import Path

from domwarden.migration.savefile import SaveFile


@dataclasses.dataclass(frozen=True)
class _Kept:
    """A directory's entries, or a file's size and time, when it was synced last."""

    names: frozenset[str] = frozenset()
    contents: tuple[int, int] = (0, 0)


class Files:
    """Every save, on a disk that all hosts reach, and that each writes through a cache."""

    def __init__(self, root: Path, rng: random.Random) -> None:
        self.root = root
        self._rng = rng
        self._synced: dict[int, _Kept] = {}
        #: Which host writes into which hidden directory, and what it is called when it is whole.
        self._written: dict[str, tuple[str, str]] = {}

    def made(self, host: str, save: SaveFile) -> None:
        """Remember whose cache a save's files are in."""
        self._written[save.partial.name] = (host, save.path.name)

    def synced(self, path: Path) -> None:
        """Keep what is there now through every power cut."""
        if not path.is_relative_to(self.root):
            return
        status = path.stat()
        names = frozenset(os.listdir(path)) if path.is_dir() else frozenset[str]()
        self._synced[status.st_ino] = _Kept(names, (status.st_size, status.st_mtime_ns))

    def power_lost(self, host: str) -> list[str]:
        """Forget what a host had not synced; returns the paths of the whole saves that suffered."""
        suffered = []
        for partial, (writer, name) in self._written.items():
            if writer != host:
                continue
            whole, hidden = self.root / name, self.root / partial
            if hidden.exists():
                self._lose(hidden)
            elif whole.exists() and self._is_of(whole, partial) and self._lose(whole, hidden):
                suffered.append(str(whole))
        return suffered

    def _is_of(self, whole: Path, partial: str) -> bool:
        """Say whether a save of that name was this one, and not a later one's."""
        return [p for p, (_, name) in self._written.items() if name == whole.name][-1] == partial

    def _lose(self, directory: Path, old_name: Path | None = None) -> bool:
        """Take from a directory what was not synced; returns whether anything was."""
        rng = self._rng
        lost = False
        for entry in sorted(directory.iterdir()):
            status = entry.stat()
            kept = self._synced.get(status.st_ino)
            if kept is None or kept.contents != (status.st_size, status.st_mtime_ns):
                lost = True
                os.truncate(entry, rng.choice([0, rng.randint(0, status.st_size)]))
            if entry.name not in self._names(directory) and rng.random() < 0.5:
                lost = True
                entry.unlink()
        if directory.name not in self._names(self.root) and rng.random() < 0.5:
            lost = True
            if old_name is None:
                shutil.rmtree(directory)
            else:
                directory.rename(old_name)
        return lost

    def _names(self, directory: Path) -> frozenset[str]:
        return self._synced.get(directory.stat().st_ino, _Kept()).names
