"""A save on disk: a directory that is whole or not there."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domwarden.contract import (
    Armed,
    BrokenError,
    Definition,
    PermanentError,
    Refusal,
    RunState,
    Ticket,
)
from domwarden.journal import MigrationRecord
from domwarden.migration.far import FarEnd
from domwarden.migration.site import Site
from domwarden.plan import Action, Decision, Fact, View

#: The version of the manifest.
VERSION = 1


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a save says of itself; ``tickets`` are what the devices gave when they were saved."""

    nonce: str
    migration: str
    host: str
    epoch: int
    running: bool
    definition: Definition
    tickets: Mapping[str, Ticket | None]
    #: Whether the domain's watchdog was seen armed when it was saved.
    armed: Armed = Armed.UNKNOWN

    def as_json(self) -> dict[str, Any]:
        """Return the manifest as plain data."""
        return {"version": VERSION, **dataclasses.asdict(self)}


def read_manifest(path: Path) -> Manifest:
    """Read a save's manifest; raises PermanentError for what is no save."""
    file = path / "manifest.json"
    try:
        data = json.loads(file.read_text())
        version = data.pop("version")
        if version != VERSION:
            raise PermanentError(
                f"{path} has version {version}, this domwarden reads {VERSION}",
                hint="use the version that wrote it",
            )
        data["definition"] = Definition.from_json(data["definition"])
        data["armed"] = Armed(data.get("armed", Armed.UNKNOWN))
        return Manifest(**data)
    except FileNotFoundError:
        raise PermanentError(
            f"{path} is no save", hint="name the directory that `save` made"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PermanentError(f"{file} cannot be read: {error}") from error


class SaveFile:
    """The place of one save: written as a hidden sibling, and renamed when it is whole."""

    def __init__(self, record: MigrationRecord) -> None:
        self.path = Path(record.peer)
        self.partial = self.path.with_name(f".{self.path.name}.{record.id}.partial")
        self._nonce = record.nonce

    @property
    def stream(self) -> Path:
        """Where the engine writes its stream."""
        return self.partial / "stream"

    def obstacles(self) -> list[Refusal]:
        """Return why nothing can be saved there."""
        if self.path.exists() or self.path.is_symlink():
            return [
                Refusal(
                    code="save-exists",
                    reason=f"{self.path} exists",
                    remedy="choose another name; saves are never overwritten",
                )
            ]
        if not os.access(self.path.parent, os.W_OK | os.X_OK):
            return [
                Refusal(
                    code="save-place",
                    reason=f"nothing can be written in {self.path.parent}",
                    remedy="make the directory, or choose another",
                )
            ]
        return []

    def create(self) -> None:
        """Make the hidden directory; raises PermanentError."""
        try:
            self.partial.mkdir(mode=0o700)
        except OSError as error:
            raise PermanentError(f"{self.partial} cannot be made: {error.strerror}") from error

    def seal(self, manifest: Manifest) -> None:
        """Make stream and manifest durable under the final name; raises PermanentError."""
        try:
            with (self.partial / "manifest.json").open("x") as file:
                json.dump(manifest.as_json(), file, indent=1)
            for entry in self.partial.iterdir():
                _fsync(entry)
            _fsync(self.partial)
            # A rename onto a directory with anything in it fails, so no other save is lost.
            self.partial.rename(self.path)
            _fsync(self.path.parent)
        except OSError as error:
            raise PermanentError(f"{self.path} cannot be written: {error.strerror}") from error

    @property
    def present(self) -> bool:
        """Whether anything that this move made is there."""
        return self.partial.exists() or self._sealed()

    def _sealed(self) -> bool:
        try:
            return read_manifest(self.path).nonce == self._nonce
        except PermanentError:
            return False

    def remove(self) -> None:
        """Remove what this move made, and nothing else."""
        if self._sealed():
            self.path.rename(self.partial)
        if self.partial.exists():
            shutil.rmtree(self.partial)
        _fsync(self.path.parent)


class SaveEnd(FarEnd):
    """A file as the destination of a move: it arrives when it is released, and asks nothing."""

    def __init__(self, site: Site, record: MigrationRecord) -> None:
        self._site = site
        self._record = record
        self.file = SaveFile(record)

    async def look(self) -> View:
        """Return how far the save is."""
        decision = await self._site.journal.decision(self._record.id)
        present = await asyncio.to_thread(lambda: self.file.present)
        if decision is Decision.RELEASED:
            if not present:
                why = f"the domain was saved to {self.file.path}, and that is gone"
                raise BrokenError(why, hint="bring it back; its suspended copy is still there")
            facts = {Fact.READY, Fact.GRANTED, Fact.RAN, Fact.FINISHED}
            return View(RunState.ABSENT, facts=frozenset(facts), done=True)
        if present:
            # A file begins nothing by itself, so it has given up as soon as it is asked.
            return View(RunState.INCOMING, facts=frozenset({Fact.GAVE_UP}))
        return View(RunState.ABSENT, done=True)

    async def perform(self, action: Action) -> Mapping[str, Any]:
        """Remove the file of a save that is off."""
        if action is not Action.DISCARD:
            raise BrokenError(f"no file can {action}")
        await asyncio.to_thread(self.file.remove)
        return {}


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
