"""Distributions that live for one test, found and imported like installed ones."""

import itertools
import textwrap
from pathlib import Path

import pytest

_NUMBER = itertools.count(1)

#: Put before the source of every module.
PRELUDE = """
import voluptuous
from domwarden.contract import *
from domwarden.contract import units
"""

DEVICE = """
class Card:
    contract = 1
    SCHEMA = {}

    def __init__(self, id, options):
        self.id, self.options = id, options
"""

ENGINE = '''
async def _absent(self, *arguments, **options):
    raise EngineError("a throw-away engine runs nothing")


class _Whole(Engine):
    """An engine that runs nothing."""


for _name in Engine.__abstractmethods__:
    setattr(_Whole, _name, _absent)
_Whole.__abstractmethods__ = frozenset()
_Whole.control = lambda self, name, protocol: None
'''


def install(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    *,
    name: str = "acme-cards",
    version: str = "2.5",
    prelude: str = PRELUDE,
    **drivers: str,
) -> str:
    """Write a distribution of one module and put it on the path; return the module's name.

    ``drivers`` maps ``KIND_NAME`` (``device_card``) to an attribute of the module.
    """
    number = next(_NUMBER)
    module = f"throwaway_{number}"
    place = directory / f"site-{number}"
    info = place / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for driver, attribute in drivers.items():
        kind, _, driver_name = driver.rpartition("_")
        lines += [f"[domwarden.{kind}s]", f"{driver_name} = {module}:{attribute}"]
    (info / "entry_points.txt").write_text("\n".join(_grouped(lines)) + "\n")
    (place / f"{module}.py").write_text(prelude + textwrap.dedent(source))
    monkeypatch.syspath_prepend(str(place))
    return module


def _grouped(lines: list[str]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for header, entry in zip(lines[::2], lines[1::2], strict=True):
        groups.setdefault(header, []).append(entry)
    return [line for header, entries in groups.items() for line in (header, *entries)]
