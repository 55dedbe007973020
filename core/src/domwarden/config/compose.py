"""Turns the text of one YAML document into located data, and finds what YAML itself forbids.

The parser's events are put together here and not by PyYAML's composer, which recurses (a deep
file ends the process in the C loader), expands aliases without bound and lets the last of two
equal keys win.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from domwarden.config.nodes import Mapping, Mark, Node, Scalar, Sequence, shorten
from domwarden.config.report import Path, Report
from domwarden.config.scalars import resolve

#: Deeper than any driver's options, and far from Python's recursion limit.
LIMIT_DEPTH = 32
#: Values in one file, with every alias counted as a copy of what it names.
LIMIT_NODES = 100_000

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_HINTS = (
    ("mapping values are not allowed", "quote a text that contains a colon and a space"),
    ("'\\t'", "indent with spaces, not tabs"),
    ("cannot start any token", "indent with spaces, not tabs; quote a text that begins so"),
    ("did not find expected <document start>", "quote the text"),
    ("expected ',' or", "close the bracket, or quote the text"),
    ("end of stream", "a quote or bracket is not closed"),
    ("could not find expected ':'", "write `key: value`"),
    ("did not find expected key", "check the indentation"),
    ("expected <block end>", "check the indentation"),
)  # fmt: skip


class _Stop(Exception):
    """The rest of the file cannot be understood; the report says why."""


def compose(text: str, report: Report) -> Node | None:
    """Return the root of the only document of a YAML text, or None when there is none to trust.

    Mistakes that leave the rest readable (duplicate keys, tags) are reported and stepped over.
    """
    composer = _Composer(report)
    parser = _PARSER(text)
    try:
        for event in _events(parser):
            composer.feed(event)
    except _Stop:
        return None
    except yaml.MarkedYAMLError as error:
        mark, begun = error.problem_mark or error.context_mark, error.context_mark
        since = f" begun on line {begun.line + 1}," if begun else ""
        what = " ".join(part for part in (error.context, since.strip(), error.problem) if part)
        where = Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
        report.add(where, (), f"is not YAML: {shorten(what, 200)}", _hint(what))
        return None
    # The parser in Python lets a few absurd escapes and versions escape as these.
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        report.add(Mark(1, 1), (), f"is not YAML: {shorten(' '.join(str(error).split()), 200)}")
        return None
    finally:
        parser.dispose()
    if composer.root is None:
        report.add(Mark(1, 1), (), "is empty", "write `domain: NAME` and what belongs to it")
    return composer.root


def _events(parser: Any) -> Iterator[Any]:
    while True:
        event = parser.get_event()
        if event is None or isinstance(event, yaml.StreamEndEvent):
            return
        yield event


def _hint(what: str) -> str:
    return next((hint for part, hint in _HINTS if part in what), "")


class _Open:
    """A list or mapping whose end is not reached; ``size`` counts what it holds.

    ``key`` waits for its value, which is dropped when ``skipped``.
    """

    __slots__ = ("anchor", "key", "node", "size", "skipped")

    def __init__(self, node: Sequence | Mapping, anchor: str | None) -> None:
        self.node = node
        self.anchor = anchor
        self.size = 1
        self.key: str | None = None
        self.skipped = False

    def position(self) -> str | int:
        return len(self.node.items) if isinstance(self.node, Sequence) else self.key or ""


class _Composer:
    """Puts events together; ``root`` is the first document's value."""

    def __init__(self, report: Report) -> None:
        self.root: Node | None = None
        self._report = report
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._documents = 0

    def feed(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._place(self._scalar(event), 1, event.anchor)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = self._open.pop()
            self._place(ended.node, ended.size, ended.anchor)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._stop(_mark(event), "a second document begins", "one file holds one document")

    def _begin(self, event: Any) -> None:
        if len(self._open) >= LIMIT_DEPTH:
            self._stop(_mark(event), f"is nested deeper than {LIMIT_DEPTH} levels")
        is_map = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", f"tag:yaml.org,2002:{'map' if is_map else 'seq'}"):
            self._tag(event)
        node = Mapping(_mark(event)) if is_map else Sequence(_mark(event))
        self._key_must_be_text(_mark(event))
        if event.anchor:
            # An alias inside what it names must not find an older value of the same name.
            self._anchors.pop(event.anchor, None)
        self._open.append(_Open(node, event.anchor))

    def _scalar(self, event: Any) -> Scalar:
        mark, text = _mark(event), event.value
        if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
            # Only PyYAML's parser in Python lets "\ud800" through.
            self._report.add(
                mark, self._path(), "holds half a surrogate pair", "write the character"
            )
            text = text.encode(errors="replace").decode()
        plain_text = event.implicit[0] and event.style in (None, "")
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            self._tag(event)
        elif event.tag is not None:
            plain_text = False
        return Scalar(mark, resolve(text) if plain_text else text, text)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            inside = any(opened.anchor == event.anchor for opened in self._open)
            what = "contains itself" if inside else "has no anchor before it"
            self._stop(_mark(event), f"alias *{shorten(event.anchor)} {what}")
        node, size = self._anchors[event.anchor]
        if not isinstance(node, Scalar):
            self._key_must_be_text(_mark(event))
        self._place(node, size, None, at=_mark(event))

    def _place(self, node: Node, size: int, anchor: str | None, at: Mark | None = None) -> None:
        if anchor:
            self._anchors[anchor] = (node, size)
        if not self._open:
            self.root = node
            return
        holder = self._open[-1]
        holder.size += size
        if holder.size > LIMIT_NODES:
            self._stop(
                at or node.mark, f"holds more than {LIMIT_NODES} values", "use fewer aliases"
            )
        if isinstance(holder.node, Sequence):
            holder.node.items.append(node)
        elif holder.key is None:
            self._key(holder, holder.node, node, at or node.mark)
        else:
            if not holder.skipped:
                holder.node.values[holder.key] = node
            holder.key, holder.skipped = None, False

    def _key(self, holder: _Open, mapping: Mapping, node: Node, mark: Mark) -> None:
        assert isinstance(node, Scalar)  # _key_must_be_text saw to it
        key = node.text
        if not key:
            self._report.add(mark, self._path(), "has an empty key", "write `key: value`")
            holder.skipped = True
        elif key in mapping.keys:
            first = mapping.keys[key].line
            self._report.add(
                mark,
                (*self._path(), key),
                "stands twice",
                f"the first is on line {first}; keep one",
            )
            holder.skipped = True
        else:
            mapping.keys[key] = mark
        holder.key = key

    def _key_must_be_text(self, mark: Mark) -> None:
        if self._open and isinstance(self._open[-1].node, Mapping) and self._open[-1].key is None:
            self._stop(
                mark,
                "a list or mapping stands where a key should be",
                "quote a text that begins with { or [",
            )

    def _tag(self, event: Any) -> None:
        what = f"tag {shorten(event.tag.replace('tag:yaml.org,2002:', '!!'))} is not used here"
        self._report.add(_mark(event), self._path(), what, "remove the tag; quote what is text")

    def _path(self) -> Path:
        return tuple(opened.position() for opened in self._open if opened.position() != "")

    def _stop(self, mark: Mark, what: str, hint: str = "") -> None:
        self._report.add(mark, self._path(), what, hint)
        raise _Stop


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)
