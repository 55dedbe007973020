"""Reads a file as text, or says in one line why that is not possible."""

from __future__ import annotations

import codecs
import os
import re
import stat
from pathlib import Path

from domwarden.config.nodes import Mark
from domwarden.config.report import Report

#: The largest file that is read: a thousand times an ordinary domain.
LIMIT_BYTES = 1024 * 1024

# https://yaml.org/spec/1.2.2/#51-character-set, less U+FEFF, which may only begin a file.
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_OTHER_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_START = Mark(1, 1)


def read_text(path: Path, report: Report) -> str | None:
    """Return a file's text without a byte order mark; None when the report says why not."""
    try:
        data = _read(path, report)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        report.add(_START, (), f"cannot be read: {reason}")
        return None
    return None if data is None else _decode(data, report)


def _read(path: Path, report: Report) -> bytes | None:
    # O_NONBLOCK: opening a named pipe would wait for its writer.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            report.add(_START, (), "is a directory", "name the YAML files in it")
            return None
        if not stat.S_ISREG(mode):
            report.add(_START, (), "is not a regular file", "write the YAML into a file")
            return None
        with os.fdopen(os.dup(handle), "rb") as file:
            data = file.read(LIMIT_BYTES + 1)
    finally:
        os.close(handle)
    if len(data) > LIMIT_BYTES:
        report.add(_START, (), "is larger than 1 MiB", "one file describes one domain")
        return None
    return data


def _decode(data: bytes, report: Report) -> str | None:
    for mark, name in _OTHER_ENCODINGS:
        if data.startswith(mark):
            report.add(_START, (), f"is {name} text", "save it as UTF-8")
            return None
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        wrong = f"byte 0x{data[error.start]:02x} is not UTF-8"
        report.add(_mark(before), (), wrong, "save the file as UTF-8")
        return None
    found = _FORBIDDEN.search(text)
    if found:
        what = f"character U+{ord(found[0]):04X} may not stand in YAML"
        report.add(_mark(text[: found.start()]), (), what, "remove it")
        return None
    return text


def _mark(before: str) -> Mark:
    return Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))
