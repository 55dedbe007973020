"""What the workspace holds: its distributions, as their pyproject files tell."""

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_LOWER_BOUND = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*) *>= *(?P<version>[0-9][0-9a-z.]*)")


@dataclasses.dataclass(frozen=True)
class Distribution:
    """One folder that is built into one wheel."""

    folder: str  #: relative to the root, as in ``plugins/blk``
    name: str
    version: str
    dependencies: tuple[str, ...]
    entry_points: Mapping[str, Mapping[str, str]]
    #: What some users install besides, as in ``domwarden[pki]``.
    extras: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    @property
    def package(self) -> str:
        """The one import package that it installs."""
        return self.name.replace("-", "_")


def distributions() -> list[Distribution]:
    """Return every distribution of the workspace, the core first."""
    found = [ROOT / "core/pyproject.toml"]
    found += sorted(ROOT.glob("plugins/*/pyproject.toml"))
    found += sorted(ROOT.glob("examples/*/pyproject.toml"))
    return [_read(path) for path in found]


def lower_bounds() -> dict[str, str]:
    """Return the oldest version that the distributions allow of each library they need.

    Where two distributions differ, the higher bound holds for an environment with both.
    Raises ValueError for a dependency that states none.
    """
    every = distributions()
    own = {each.name for each in every}
    bounds: dict[str, str] = {}
    for distribution in every:
        for requirement in chain(distribution.dependencies, *distribution.extras.values()):
            match = _LOWER_BOUND.match(requirement)
            if match is None:
                raise ValueError(f"{distribution.folder}: {requirement!r} has no lower bound")
            name, version = match["name"], match["version"]
            if name not in own:
                bounds[name] = max(bounds.get(name, "0"), version, key=_order)
    return bounds


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _read(path: Path) -> Distribution:
    project = tomllib.loads(path.read_text())["project"]
    return Distribution(
        folder=str(path.parent.relative_to(ROOT)),
        name=project["name"],
        version=project["version"],
        dependencies=tuple(project.get("dependencies", ())),
        extras={k: tuple(v) for k, v in project.get("optional-dependencies", {}).items()},
        entry_points={
            **project.get("entry-points", {}),
            **({"console_scripts": project["scripts"]} if "scripts" in project else {}),
        },
    )
