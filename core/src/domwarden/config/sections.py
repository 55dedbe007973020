"""Checks one section of a file against its schema, and places each mistake where it stands."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from collections.abc import Sequence as AnySequence
from typing import Any

from domwarden.config.nodes import Mapping, Mark, Node, Scalar, Sequence, plain, wrong
from domwarden.config.report import Path, Report
from domwarden.config.schemas import Section
from domwarden.config.wording import did_you_mean, expectation, valid_keys
from domwarden.plugins.lines import one_line

#: voluptuous stops at the first bad item of a list; so many times it is asked again without it.
_ROUNDS = 20


def check(
    report: Report,
    section: Section,
    node: Mapping,
    path: Path = (),
    *,
    only: Collection[str] | None = None,
    others: Collection[str] = (),
    at: Mark | None = None,
) -> dict[str, Any] | None:
    """Return the validated values of a mapping as plain data; None when the report says why not.

    ``only`` these keys of the mapping are checked, or all but those ``others``, which are checked
    elsewhere; ``at`` is where a missing key is reported (the key that holds the mapping).
    """
    import voluptuous  # here, because `domwarden --help` must not pay for it

    chosen = {
        key: value
        for key, value in node.values.items()
        if key not in others and (only is None or key in only)
    }
    own = Mapping(node.mark, chosen, node.keys)
    check_one = _Check(report, section, own, path, tuple(others), at or node.mark)
    for _ in range(_ROUNDS):
        try:
            checked = section.validate(plain(own, frozenset(check_one.omitted)))
            return check_one.finish(checked)
        except voluptuous.MultipleInvalid as errors:
            if not check_one.place(errors.errors):
                return None
        except Exception as error:  # noqa: BLE001 - a driver's validators may raise anything
            what = f"cannot be checked: {section.owner} raised {one_line(error)}"
            report.add(check_one.at, path, what, "this is a bug of that distribution")
            return None
    return None


class _Check:
    """One mapping under check; ``omitted`` are the list items already found bad."""

    def __init__(
        self,
        report: Report,
        section: Section,
        node: Mapping,
        path: Path,
        others: tuple[str, ...],
        at: Mark,
    ) -> None:
        self.at = at
        self.omitted: set[int] = set()
        self._report = report
        self._section = section
        self._node = node
        self._path = path
        self._others = others
        self._failed = False

    def place(self, errors: Iterable[Any]) -> bool:
        """Report each error; return whether leaving out bad list items may bring up more."""
        again = False
        first = not self._failed
        self._failed = True
        omitted: set[int] = set()
        for error in errors:
            if self._report.full:
                return False
            where = _Place(self._node, error.path, frozenset(self.omitted), self.at)
            # Without its bad items a list may be too short: after the first time, only what is
            # wrong inside an item counts.
            if first or where.item is not None:
                self._say(error, where)
            if where.item is not None:
                omitted.add(id(where.item))
                again = True
        self.omitted |= omitted
        return again

    def finish(self, checked: Any) -> dict[str, Any] | None:
        """Return what the schema made of the data, unless it failed before or is not plain."""
        if self._failed:
            return None
        try:
            data = plain_json(checked)
            if not isinstance(data, dict):
                raise TypeError(f"{type(data).__name__} instead of a mapping")
        except TypeError as error:
            what = f"{self._section.owner} makes {error} of its options, which is no plain JSON"
            self._report.add(self.at, self._path, what, "this is a bug of that distribution")
            return None
        return data

    def _say(self, error: Any, where: _Place) -> None:
        import voluptuous  # as above

        path, inner, node = (*self._path, *where.path), where.path, where.node
        said = str(error.error_message)
        written = node.text if isinstance(node, Scalar) else ""
        if isinstance(error, voluptuous.RequiredFieldInvalid):
            key = error.path[-1]
            hint = getattr(key, "description", None) or said.removeprefix(
                "required key not provided"
            )
            self._report.add(where.key_mark, path, f"missing key '{key}'", str(hint))
        elif said == "extra keys not allowed" and where.key is not None:
            others = self._others if len(inner) == 1 else ()
            keys = sorted({*valid_keys(self._section.schema, inner[:-1]), *others})
            hint = did_you_mean(where.key, keys)
            self._report.add(where.key_mark, path, f"unknown key '{where.key}'", hint)
        elif isinstance(node, Mapping) and not said.startswith("expected"):
            self._report.add(where.key_mark, path, said)
        else:
            hint = expectation(error, self._section.schema, inner, written)
            if hint == "expected text" and isinstance(node, Scalar) and node.value is not None:
                hint += f"; quote it: '{node.text}'"
            self._report.add(node.mark, path, wrong(node), hint)


class _Place:
    """Where in the file a voluptuous error stands.

    ``node`` is the value, ``key`` the last key and ``key_mark`` where that stands, ``item`` the
    innermost list item on the way; ``path`` counts list items as the file has them.
    """

    def __init__(self, root: Mapping, path: list[Any], omitted: frozenset[int], at: Mark) -> None:
        self.node: Node = root
        self.key: str | None = None
        self.key_mark = at
        self.item: Node | None = None
        self.path: Path = ()
        for part in path:
            if not self._step(part, omitted):
                break

    def _step(self, part: Any, omitted: frozenset[int]) -> bool:
        node = self.node
        if isinstance(node, Mapping) and part in node.values:
            self.key = str(part)
            self.key_mark = node.keys[self.key]
            self.node = node.values[self.key]
            self.path += (self.key,)
            return True
        if isinstance(node, Sequence) and isinstance(part, int):
            left: AnySequence[int] = range(len(node.items))
            if omitted:
                left = [i for i in left if id(node.items[i]) not in omitted]
            if part < len(left):
                self.node = self.item = node.items[left[part]]
                self.key_mark = self.node.mark
                self.path += (left[part],)
                return True
        return False


def plain_json(value: Any) -> Any:
    """Return the value as JSON would give it back; raises TypeError naming what JSON lacks."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(str(value))
        return float(value)
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("a key that is no text")
        return {str.__str__(key): plain_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(inner) for inner in value]
    raise TypeError(type(value).__name__)
