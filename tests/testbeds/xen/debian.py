"""Resolves and unpacks Debian packages with all they need, without installing anything."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..guest.packages import BuildError, kernel_package, run

#: apt-get -s: "Inst NAME (VERSION ORIGIN... [ARCHITECTURE])"
_PLANNED = re.compile(r"Inst (?P<name>\S+) .*?\((?P<version>\S+) .*\[(?P<arch>\w+)\]\)")


@dataclass(frozen=True)
class Package:
    """One version of one package."""

    name: str
    version: str
    architecture: str

    @property
    def file(self) -> str:
        """The name that apt-get download gives it."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


def closure(names: Iterable[str]) -> list[Package]:
    """Return the packages with all that they depend on, as for a machine that has none.

    Raises BuildError when apt has no lists or knows one of them not.
    """
    kernel_package()  # fetches the lists if there are none
    with tempfile.NamedTemporaryFile(prefix="no-packages-") as nothing_installed:
        plan = run(
            *("apt-get", "-q", "--simulate", "--no-install-recommends"),
            *("-o", f"Dir::State::status={nothing_installed.name}", "-o", "Debug::NoLocking=1"),
            *("install", *names),
        )
    return [Package(*match.groups()) for match in map(_PLANNED.match, plan.splitlines()) if match]


def unpack(packages: Iterable[Package], downloads: Path, tree: Path) -> None:
    """Unpack the packages into `tree`; fetch into `downloads` those that are not there yet.

    Raises BuildError when apt cannot fetch one.
    """
    wanted = list(packages)
    downloads.mkdir(parents=True, exist_ok=True)
    missing = [each for each in wanted if not (downloads / each.file).exists()]
    if missing:
        names = [f"{each.name}={each.version}" for each in missing]
        run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *names, cwd=downloads)
    for each in wanted:
        if not (downloads / each.file).exists():
            raise BuildError(f"apt-get download made no {each.file}")
        run("dpkg", "-x", str(downloads / each.file), str(tree))
