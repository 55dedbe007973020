"""The two hosts of each file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .stage import Stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(lambda: tmp_path_factory.mktemp("hosts"))
    yield made
    made.close()
