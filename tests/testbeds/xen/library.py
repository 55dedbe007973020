"""Packs domwarden, its drivers and the libraries they need, for dom0's Python."""

from __future__ import annotations

import io
import py_compile
import re
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution as Installed
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

if "workspace" not in sys.modules:  # pytest has the folder on its path already
    sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))

from workspace import ROOT, Distribution, distributions

#: The Python of Debian 12.
PYTHON = (3, 11)
#: So that a test may run tests in dom0; the demonstration runs none.
_MORE = ("pytest",)
#: Programs, compiled files, tests, and what rich could colour the syntax of.
_LEFT_OUT = re.compile(
    r"^\.\./|^/|\.pyc$|(^|/)(__pycache__|tests?)/|^pygments/lexers/(?!_mapping|__init__|python|special)"
)


class MissingLibraryError(Exception):
    """A library that our distributions need is not installed beside the running Python."""


def library() -> bytes:
    """Return a tar archive of our sources as they are now, and of the installed libraries.

    Raises MissingLibraryError naming what is not installed.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in _files():
            _add(archive, name, content)
            if name.endswith(".py") and sys.version_info[:2] == PYTHON:
                _add(archive, *_compiled(name, content))
    return out.getvalue()


def _files() -> Iterator[tuple[str, bytes]]:
    ours = distributions()
    for each in ours:
        source = ROOT / each.folder / "src"
        for path in sorted(source.rglob("*")):
            name = str(path.relative_to(source))
            if path.is_file() and not _LEFT_OUT.search(name):
                yield name, path.read_bytes()
        yield from _metadata(each)
    needs = [need for each in ours for need in each.dependencies]
    more = [name for name in _MORE if find_spec(name)]
    for installed in _closure([*needs, *more], {each.name for each in ours}):
        for file in installed.files or ():
            if not _LEFT_OUT.search(str(file)) and file.locate().is_file():
                yield str(file), file.read_binary()


def _metadata(ours: Distribution) -> Iterator[tuple[str, bytes]]:
    """What importlib.metadata, and so stevedore, reads of an installed distribution."""
    place = f"{ours.package}-{ours.version}.dist-info"
    needs = "".join(f"Requires-Dist: {need}\n" for need in ours.dependencies)
    text = f"Metadata-Version: 2.1\nName: {ours.name}\nVersion: {ours.version}\n{needs}"
    yield f"{place}/METADATA", text.encode()
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in ours.entry_points.items()
    )
    yield f"{place}/entry_points.txt", points.encode()


def _closure(needs: Iterable[str], known: set[str]) -> list[Installed]:
    """Return the installed distributions that `needs` name, with all that they need in turn."""
    found: dict[str, Installed] = {}
    pending = [Requirement(need) for need in needs]
    there = {"python_version": "3.11", "python_full_version": "3.11.2", "extra": ""}
    while pending:
        need = pending.pop()
        if need.name in found or need.name in known:
            continue
        if need.marker is not None and not need.marker.evaluate({**there}):
            continue
        try:
            found[need.name] = distribution(need.name)
        except PackageNotFoundError:
            raise MissingLibraryError(f"{need.name} is not installed") from None
        pending += [Requirement(line) for line in found[need.name].requires or ()]
    return list(found.values())


def _compiled(name: str, content: bytes) -> tuple[str, bytes]:
    """Compile here what takes long there, where nobody edits it: its source is not looked at."""
    with tempfile.NamedTemporaryFile(suffix=".py") as source:
        source.write(content)
        source.flush()
        compiled = py_compile.compile(
            source.name,
            cfile=f"{source.name}c",
            dfile=f"/opt/domwarden/{name}",
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        assert compiled is not None
        code = Path(compiled).read_bytes()
        Path(compiled).unlink()
    place = Path(name)
    tag = f"cpython-{PYTHON[0]}{PYTHON[1]}"
    return str(place.parent / "__pycache__" / f"{place.stem}.{tag}.pyc"), code


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = 0o644
    archive.addfile(entry, io.BytesIO(content))
