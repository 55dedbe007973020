"""A SCHEMA's description accepts whatever the SCHEMA accepts."""

import enum

import jsonschema
import pytest
import voluptuous as v
from hypothesis import given
from hypothesis import strategies as st

from domwarden.contract import duration, path, rate, size
from domwarden.plugins.options import json_schema_of, summary


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (object, {}),
        ("raw", {"const": "raw"}),
        (None, {"type": "null"}),
        ([str, int], {
            "type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        }),
        (v.In(["a", "b"]), {"enum": ["a", "b"]}),
        (v.Coerce(Colour), {"enum": ["red", "blue"]}),
        (v.Maybe(int), {"anyOf": [{"type": "null"}, {"type": "integer"}]}),
        (v.All(int, v.Range(min=1, max=9)), {"type": "integer", "minimum": 1, "maximum": 9}),
        (v.All(float, v.Range(min=0, min_included=False)), {
            "type": "number", "exclusiveMinimum": 0,
        }),
        (v.All(str, v.Match("^[0-9a-f]+$")), {"type": "string", "pattern": "^(?:^[0-9a-f]+$)"}),
        (v.All(str, v.Match(r"\Aa(?P<b>c)")), {"type": "string"}),
        (v.ExactSequence([int, str]), {
            "type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}],
            "minItems": 2, "maxItems": 2,
        }),
        # The range is about bytes, and the file holds text.
        (v.All(size, v.Range(min=1)), json_schema_of(size)),
        (lambda value: value, {}),
        ({v.Required("a"): int, v.Required("b", default=1): int, "c": {}}, {
            "type": "object",
            "properties": {
                "a": {"type": "integer"}, "b": {"type": "integer", "default": 1},
                "c": {"type": "object", "properties": {}, "additionalProperties": False},
            },
            "required": ["a"], "additionalProperties": False,
        }),
        ({str: int}, {
            "type": "object", "properties": {}, "additionalProperties": {"type": "integer"},
        }),
        (v.Schema({"a": int}, extra=v.ALLOW_EXTRA), {
            "type": "object", "properties": {"a": {"type": "integer"}},
            "additionalProperties": True,
        }),
    ],
)  # fmt: skip
def test_what_a_validator_becomes(schema, expected):
    assert json_schema_of(schema) == expected
    jsonschema.Draft202012Validator.check_schema(expected)


LEAVES = st.sampled_from([
    str, int, float, bool, None, "a", 5, size, duration, rate, path, v.In(["a", "b", "5s"]),
    v.Range(min=0, max=3), v.Length(min=1, max=2), v.Match("[a-c]"), v.Coerce(int),
    v.Coerce(Colour), v.Coerce(str), v.Boolean(), v.Lower, dict, list,
    v.Unique(), v.NotIn(["a"]), v.Any("a", 5),
])  # fmt: skip
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.builds(lambda a, b: v.All(a, b), inner, inner),
        st.builds(lambda a, b: v.Any(a, b), inner, inner),
        st.builds(lambda a, b: {v.Required("a"): a, v.Optional("b"): b}, inner, inner),
        st.builds(lambda a: {str: a}, inner),
        st.builds(v.Maybe, inner),
    ),
    max_leaves=6,
)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.integers(-2, 7), st.floats(-2, 7),
        st.sampled_from(["", "a", "b", "red", "5s", " 5 s", "1KiB", "1 KiB/s", "7", "A", "300ms"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip


@given(SCHEMAS, VALUES)
def test_whatever_a_schema_accepts_its_description_accepts(schema, value):
    try:
        v.Schema(schema)(value)
    except v.Invalid:
        return
    except (TypeError, AttributeError, OverflowError):  # a validator on what it was not made for
        return
    jsonschema.validate(value, json_schema_of(schema), jsonschema.Draft202012Validator)


def test_a_summary_is_in_an_operators_words():
    assert summary(json_schema_of(v.Any(int, [str], None))) == "a whole number or a list or nothing"
    assert summary(json_schema_of(duration)) == "text such as 30s"
