"""An unquoted word is what it looks like, and not what YAML 1.1 reads into it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden.config.scalars import resolve


@pytest.mark.parametrize(
    "text",
    ["no", "No", "yes", "on", "off", "y", "12:30:45", "1:30", "0o7", "0x1f", "0b1", "010", "-08",
     "1_000", ".inf", "-.INF", ".nan", "2024-01-31", "1e999", "+", "-", ".", "e5", "1e", "1.2.3",
     "=", "<<", "52:54:00:12:34:56", "1" * 30, "٣", "00.5", "tRue"],
)  # fmt: skip
def test_surprises_are_text(text):
    assert resolve(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("0", 0), ("7", 7),
     ("-12", -12), ("+3", 3), ("0.5", 0.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0),
     ("-2.5E-1", -0.25), ("0e0", 0.0)],
)  # fmt: skip
def test_plain_values_are_values(text, value):
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@given(st.text(alphabet="0123456789.+-eE_:xon~ ", max_size=30) | st.text(max_size=8))
def test_every_word_is_plain_data(text):
    value = resolve(text)
    assert json.loads(json.dumps(value)) == value or isinstance(value, float)


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_every_decimal_integer_is_read(number):
    assert resolve(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_is_read(number):
    assert resolve(repr(number)) == number
