"""The drivers of an environment are those that its distributions promise."""

import importlib.metadata
import os
from pathlib import Path

import pytest
from workspace import ROOT, Distribution, distributions, lower_bounds

from .promised import PROMISED

MATRIX = os.environ.get("DOMWARDEN_MATRIX", "")
DRIVER_GROUPS = (
    "domwarden.engines",
    "domwarden.devices",
    "domwarden.watchdogs",
    "domwarden.host_watchdogs",
)

from_wheels = pytest.mark.skipif(not MATRIX, reason="not run by tox: the sources are installed")


def installed() -> list[Distribution]:
    """Return the distributions of the workspace that this environment has."""
    names = {each.name for each in importlib.metadata.distributions()}
    return [each for each in distributions() if each.name in names]


def expected() -> list[str]:
    """Return the folders that tox says are in this environment."""
    return [each.folder for each in distributions()] if MATRIX == "all" else MATRIX.split(",")


@from_wheels
def test_environment_holds_exactly_the_distributions_of_its_name() -> None:
    """Nothing of ours is installed that tox did not name, so a hidden dependency shows."""
    assert [each.folder for each in installed()] == expected()


def test_installed_entry_points_are_the_promised_ones() -> None:
    """Each installed distribution brings what the table says, and nothing in our groups besides."""
    assert installed()
    brought = {
        each.name: {
            group: {
                point.name: point.value
                for point in importlib.metadata.distribution(each.name).entry_points
                if point.group == group
            }
            for group in {p.group for p in importlib.metadata.distribution(each.name).entry_points}
        }
        for each in installed()
    }
    assert brought == {each.name: PROMISED[each.name] for each in installed()}


def test_no_distribution_brings_drivers_unpromised() -> None:
    """The drivers found in the environment, whoever brings them, are those of the table."""
    found = {
        (group, point.name, point.value)
        for group in DRIVER_GROUPS
        for point in importlib.metadata.entry_points(group=group)
    }
    promised = {
        (group, name, value)
        for each in installed()
        for group, points in PROMISED[each.name].items()
        for name, value in points.items()
        if group in DRIVER_GROUPS
    }
    assert found == promised


def test_each_driver_loads_and_speaks_this_contract() -> None:
    """Every promised class imports with only its own distribution's dependencies installed."""
    from domwarden.contract import CONTRACT

    loaded = [
        point.load()
        for group in DRIVER_GROUPS
        for point in importlib.metadata.entry_points(group=group)
    ]
    assert loaded
    assert {driver.__name__: driver.contract for driver in loaded} == {
        driver.__name__: CONTRACT for driver in loaded
    }


@pytest.mark.skipif(
    MATRIX not in {"core", "all"}, reason="not an environment that has the core's extras"
)
def test_the_extras_are_installed_where_their_tests_run() -> None:
    """The tests that skip without them do not skip there."""
    wanted = {name for each in installed() for needs in each.extras.values() for name in needs}
    assert wanted
    for requirement in wanted:
        assert importlib.metadata.version(requirement.partition(">=")[0])


def test_installed_versions_are_those_of_the_sources() -> None:
    """No older build of a distribution is under test."""
    assert {each.name: importlib.metadata.version(each.name) for each in installed()} == {
        each.name: each.version for each in installed()
    }


@from_wheels
def test_packages_come_from_wheels_and_not_from_the_source_tree() -> None:
    """The files under test are installed ones, and each package says that it is typed."""
    for each in installed():
        files = importlib.metadata.files(each.name)
        assert files is not None
        typed = [file for file in files if file.name == "py.typed"]
        assert typed, each.name
        assert not Path(str(typed[0].locate())).resolve().is_relative_to(ROOT / each.folder)


@pytest.mark.skipif(
    not os.environ.get("DOMWARDEN_MATRIX_OLDEST"), reason="not the environment of oldest libraries"
)
def test_oldest_libraries_are_really_installed() -> None:
    """The lower bounds of the pyprojects are what the suite has just been run with."""
    bounds = lower_bounds()
    assert bounds
    assert {name: importlib.metadata.version(name) for name in bounds} == bounds
