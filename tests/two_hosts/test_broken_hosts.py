"""Whoever is killed or stopped at whatever point of a move, one copy of the guest runs, whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .hosts import OTHER, Hosts
from .stage import Stage

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(lambda: tmp_path_factory.mktemp("hosts"), lambda hosts: None)
    yield made
    made.close()


def test_a_guest_moves_there_and_back_between_two_networks(stage: Stage) -> None:
    """Nothing is broken: what the witness says of it is the measure of everything else."""

    def act(hosts: Hosts) -> None:
        for source in "ab":
            hosts.move(source)
            assert hosts.settled() == OTHER[source]
        hosts.whole()

    stage.play(act)
