"""The files themselves: loaded for use, or checked together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from domwarden.config.domain import read_domain, read_root
from domwarden.config.guard import GuardFile, read_guard
from domwarden.config.host import HostFile, read_host
from domwarden.config.nodes import Mapping, Scalar, shorten
from domwarden.config.report import Report
from domwarden.config.text import read_text
from domwarden.contract import ConfigError, Definition, Problem

ReadT = TypeVar("ReadT")


def load_domain(path: Path) -> Definition:
    """Read a domain file; raises ConfigError with everything that is wrong with it."""
    return _load(path, read_domain)


def load_host(path: Path) -> HostFile:
    """Read a host file; raises ConfigError with everything that is wrong with it."""
    return _load(path, read_host)


def load_guard(path: Path) -> GuardFile:
    """Read a guard file; raises ConfigError with everything that is wrong with it."""
    return _load(path, read_guard)


def check_files(paths: Iterable[Path]) -> list[Problem]:
    """Return every problem of domain, host and guard files, and what domains contradict.

    A file with the key ``host`` and without ``domain`` is a host file, one with ``guard`` and
    neither of them a guard file.
    """
    problems: list[Problem] = []
    seen: dict[Path, None] = {}
    taken: dict[tuple[str, str], str] = {}
    for path in paths:
        real = _absolute(path)
        if real in seen:
            continue
        seen[real] = None
        report = Report(shown(path))
        root = _root(path, report)
        if root is not None and "host" in root.values and "domain" not in root.values:
            read_host(root, real.parent, report)
        elif root is not None and "guard" in root.values and "domain" not in root.values:
            read_guard(root, real.parent, report)
        elif root is not None:
            _take(root, read_domain(root, real.parent, report), report, taken)
        problems += report.problems
    return problems


def shown(path: Path) -> str:
    """Return a file's name as it can be printed on one line."""
    return shorten(str(path).encode(errors="replace").decode(), 4096)


def _load(path: Path, read: Callable[[Mapping, Path, Report], ReadT | None]) -> ReadT:
    report = Report(shown(path))
    root = _root(path, report)
    outcome = None if root is None else read(root, _absolute(path).parent, report)
    if outcome is None:
        raise ConfigError(report.problems)
    return outcome


def _root(path: Path, report: Report) -> Mapping | None:
    text = read_text(path, report)
    return None if text is None else read_root(text, report)


def _absolute(path: Path) -> Path:
    try:
        return path.absolute()
    except OSError:  # the current directory is gone
        return path


def _take(
    root: Mapping, definition: Definition | None, report: Report, taken: dict[tuple[str, str], str]
) -> None:
    """Complain about a name or uuid that another of the files has taken."""
    for key in ("domain", "uuid"):
        node = root.values.get(key)
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            continue
        value = node.value.lower() if key == "uuid" else node.value
        first = taken.setdefault((key, value), report.file)
        if first != report.file:
            what = f"{key} '{shorten(node.text)}' is also defined in {first}"
            report.add(
                node.mark,
                (key,),
                what,
                f"each domain has a {'name' if key == 'domain' else key} of its own",
            )
