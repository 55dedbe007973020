"""What an unquoted word of YAML means here: far less than YAML 1.1 reads into it."""

from __future__ import annotations

import math
import re

from domwarden.config.nodes import ScalarValue

_WORDS: dict[str, ScalarValue] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
# No octal, hexadecimal or sexagesimal numbers, no underscores; a leading zero makes it text, since
# readers of YAML disagree whether 010 is eight or ten.  18 digits fit every reader's integers.
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_DECIMAL = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][-+]?[0-9]{1,3})?",
    re.ASCII,
)


def resolve(text: str) -> ScalarValue:
    """Return the value of an unquoted scalar.

    ``true``, ``false``, ``null`` and plain decimal numbers, as YAML 1.2's core schema has them; all
    else is text: ``no``, ``12:30:45``, ``0o7``, ``0x1f``, ``1_000``, ``.inf``, dates.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _WHOLE.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text
