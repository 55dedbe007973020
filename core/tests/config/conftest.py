"""The throw-away drivers, for every test here."""

import pytest

from .drivers import put_drivers


@pytest.fixture(scope="module", autouse=True)
def drivers(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        put_drivers(tmp_path_factory.mktemp("drivers"), monkeypatch)
        yield
