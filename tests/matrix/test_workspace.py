"""A distribution of the workspace is known everywhere it has to be named."""

import configparser
import re
import tomllib

from workspace import ROOT, distributions, lower_bounds

from .promised import PROMISED


def tox_settings() -> configparser.ConfigParser:
    """Return tox.ini as it is written."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(ROOT / "tox.ini")
    return settings


def test_promises_are_those_of_the_pyprojects() -> None:
    """The table of promises and the distributions' own entry points agree."""
    assert {each.name: dict(each.entry_points) for each in distributions()} == PROMISED


def test_each_distribution_has_an_environment_of_its_own() -> None:
    """tox runs each distribution alone; its environment is named like the folder."""
    names = set(re.split(r"[,\s]+", tox_settings()["tox"]["env_list"]))
    assert {each.folder.rpartition("/")[2] for each in distributions()} <= names


def test_each_package_is_type_checked() -> None:
    """mypy reads the sources of every distribution."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    sources = {f"{each.folder}/src" for each in distributions()}
    assert sources <= set(settings["mypy"]["mypy_path"])
    checked = {path for pattern in settings["mypy"]["files"] for path in ROOT.glob(pattern)}
    assert {ROOT / source for source in sources} <= checked


def test_each_package_is_under_the_import_contracts() -> None:
    """Import-linter finds every package, and holds every plugin to the contract and apart."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    packages = {each.package for each in distributions()}
    plugins = packages - {"domwarden"}
    assert set(settings["root_packages"]) == packages
    contracts = {contract["id"]: contract for contract in settings["contracts"]}
    assert set(contracts["plugins"]["source_modules"]) == plugins
    assert set(contracts["apart"]["modules"]) == plugins
    found = tox_settings()["lint"]["path"].replace("{:}", ":").split(":")
    assert set(found) == {f"{each.folder}/src" for each in distributions()}


def test_every_dependency_states_its_oldest_version() -> None:
    """Each needed library has a lower bound, which the oldest environment installs."""
    assert lower_bounds()


def test_every_plugin_needs_the_core() -> None:
    """A plugin states the contract's distribution as a dependency, so that it installs alone."""
    for each in distributions()[1:]:
        assert any(need.startswith("domwarden>=") for need in each.dependencies), each.name


def test_each_distribution_has_a_readme_and_is_typed() -> None:
    """Each distribution shows a page to its reader and its types to type checkers."""
    for each in distributions():
        assert (ROOT / each.folder / "README.md").read_text().startswith("# ")
        assert (ROOT / each.folder / "src" / each.package / "py.typed").exists()
