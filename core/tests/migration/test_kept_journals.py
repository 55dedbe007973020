"""Journals that earlier versions left in the middle of a move are settled by this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from domwarden.migration.crash import KNOWN_POINTS

from .helpers import recover
from .keeping import KEPT, unpack
from .test_crashes import check_whole
from .world import World

#: (version, point): where a driver of that version was killed.
LEFT = [(place.parent.name, place.name) for place in sorted(KEPT.glob("*/*/"))]


@pytest.mark.parametrize(("version", "point"), LEFT)
async def test_what_an_earlier_version_left_is_settled(
    tmp_path: Path, version: str, point: str
) -> None:
    """One copy runs, whole, whichever host is asked first."""
    for order in ("ab", "ba"):
        directory = tmp_path / order
        unpack(KEPT / version / point, directory)
        world = World(directory)
        await recover(world, order * 2)
        await check_whole(world)


def test_every_well_known_point_is_kept() -> None:
    """Of the newest version at least."""
    newest = {point for version, point in LEFT if version == LEFT[-1][0]}
    assert newest == set(KNOWN_POINTS)
