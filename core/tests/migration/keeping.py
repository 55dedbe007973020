"""Journals of moves that were killed, kept as text for every later version to settle.

``python -m core.tests.migration.keeping`` from the repository's root writes those of the present
version, for a release whose journals differ from what is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import json
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

from domwarden.contract import EngineError
from domwarden.migration import MoveFailedError
from domwarden.migration.crash import KNOWN_POINTS

from .helpers import running_domain
from .test_crashes import killed
from .world import World

#: Stands for the directory of both hosts.
_HERE = "/HERE"
#: More than any move passes.
_MOST_POINTS = 300
_SCHEMA = "schema.sql"
KEPT = Path(__file__).parents[3] / "tests" / "journals"


def unpack(kept: Path, directory: Path) -> None:
    """Make the hosts' state directories again as they were when the driver was killed."""
    schema = (kept.parent / _SCHEMA).read_text()
    for place in sorted(path for path in kept.iterdir() if path.is_dir()):
        host = directory / place.name
        host.mkdir(parents=True)
        connection = sqlite3.connect(host / "journal.sqlite")
        connection.executescript(schema)
        connection.executescript(_moved(place / "journal.sql", _HERE, str(directory)))
        connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
        shutil.copy(place / "journal.id", host)
        if (place / "hypervisor.json").exists():
            (host / "hypervisor").mkdir()
            text = _moved(place / "hypervisor.json", _HERE, str(directory))
            (host / "hypervisor" / "web1.json").write_text(text)


def pack(directory: Path, kept: Path) -> None:
    """Write the hosts' journals and hypervisors down; a version's journals share their tables."""
    for host in sorted(path for path in directory.iterdir() if path.is_dir()):
        place = kept / host.name
        place.mkdir(parents=True)
        connection = sqlite3.connect(host / "journal.sqlite")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        lines = [
            line for line in connection.iterdump() if line not in {"BEGIN TRANSACTION;", "COMMIT;"}
        ]
        connection.close()
        rows = [line for line in lines if line.startswith("INSERT ")]
        tables = [line for line in lines if line not in rows]
        schema = "\n".join([*tables, f"PRAGMA user_version={version};"])
        (kept.parent / _SCHEMA).write_text(f"{schema}\n")
        text = "".join(f"{row}\n" for row in rows)
        (place / "journal.sql").write_text(text.replace(str(directory), _HERE))
        shutil.copy(host / "journal.id", place)
        hypervisor = host / "hypervisor" / "web1.json"
        if hypervisor.exists():
            text = _moved(hypervisor, str(directory), _HERE)
            (place / "hypervisor.json").write_text(f"{text.strip()}\n")


def _moved(path: Path, old: str, new: str) -> str:
    return path.read_text().replace(old, new)


async def interrupted(world: World, point: str) -> None:
    """Kill the driver of a move, or of the abort of one that failed, at a point."""
    for index in range(_MOST_POINTS):
        shutil.rmtree(world.directory)
        world.directory.mkdir()
        await running_domain(world)
        if "abort" in point:
            world.faults.before["a", "complete"] = EngineError("it was cut off")
        with contextlib.suppress(MoveFailedError):  # it fell together with the failure
            if await killed(world, index) and world.points[index] == point:
                return
    raise LookupError(f"no move passes {point}")


def main() -> None:
    """Keep what this version leaves at each of the well-known points."""
    version = KEPT / importlib.metadata.version("domwarden")
    shutil.rmtree(version, ignore_errors=True)
    for name, point in KNOWN_POINTS.items():
        with tempfile.TemporaryDirectory() as directory:
            world = World(Path(directory))
            asyncio.run(interrupted(world, point))
            pack(Path(directory), version / name)
            print(name, json.dumps(world.states()))


if __name__ == "__main__":
    sys.exit(main())
