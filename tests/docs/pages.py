"""The Markdown pages of the workspace, taken apart: sections, links, fenced blocks, table rows."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from workspace import ROOT

_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclasses.dataclass(frozen=True)
class Block:
    """One fenced block; ``line`` is that of its fence."""

    page: Page
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


@dataclasses.dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def prose(self) -> str:
        """The text without its fenced blocks."""
        return _FENCE.sub("", self.text)

    def blocks(self, language: str) -> Iterator[Block]:
        for match in _FENCE.finditer(self.text):
            if match[2] == language:
                line = self.text.count("\n", 0, match.start()) + 1
                indent = match[1]
                lines = match[3].splitlines(keepends=True)
                yield Block(self, line, language, "".join(x.removeprefix(indent) for x in lines))

    def section(self, heading: str) -> str:
        """Return what stands under a heading, deeper ones included; empty where there is none."""
        found = list(_HEADING.finditer(self.prose))
        for index, match in enumerate(found):
            if match[2] != heading:
                continue
            ends = (m.start() for m in found[index + 1 :] if len(m[1]) <= len(match[1]))
            return self.prose[match.end() : next(ends, len(self.prose))]
        return ""

    def rows(self, heading: str) -> set[str]:
        """Return the first cells of the tables right under a heading that are code."""
        own = _HEADING.split(self.section(heading), maxsplit=1)[0]
        return set(re.findall(r"^\| `([^`]+)`", own, re.MULTILINE))

    def links(self) -> Iterator[str]:
        for match in _LINK.finditer(self.prose):
            yield match[1]

    def anchors(self) -> set[str]:
        """Return the anchors of the headings, as GitHub makes them."""
        titles = (match[2].lower() for match in _HEADING.finditer(self.prose))
        return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


def pages() -> list[Page]:
    """Return every page that a reader of the repository meets."""
    found = [path for path in ROOT.glob("*.md") if path.is_file()]
    for pattern in ("docs/*.md", "core/*.md", "plugins/*/*.md", "examples/*/*.md"):
        found += sorted(ROOT.glob(pattern))
    return [Page(path) for path in found]


def page(name: str) -> Page:
    """Return the page of that path."""
    return Page(ROOT / name)
