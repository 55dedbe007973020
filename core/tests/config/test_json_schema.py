"""The JSON Schema accepts what ``check`` accepts, and refuses what an editor should mark."""

from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from domwarden.config import check_files, json_schema
from domwarden.config.compose import compose
from domwarden.config.nodes import plain
from domwarden.config.report import Report

from .drivers import GOOD


@pytest.fixture(scope="module")
def schema(drivers):
    made = json_schema()
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


def data(text: str):
    return plain(compose(text, Report("f")))


def test_it_accepts_a_whole_file(schema):
    schema.validate(data(GOOD))


def test_it_names_its_dialect_and_every_usable_driver():
    made = json_schema()
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"device-disk", "device-elsewhere", "watchdog-card"} <= set(made["$defs"])
    assert {"tiny", "booting"} <= set(made["properties"]["engine"]["enum"])
    assert made["$defs"]["device-disk"]["properties"]["placement"] == {
        "enum": ["shared", "mirror", "local"], "default": "local",
    }  # fmt: skip


def test_an_engine_that_no_driver_fits_is_there_all_the_same(schema):
    lonely = {"domain": "a", "engine": "lonely", "memory": "1MiB"}
    schema.validate(lonely)
    assert not schema.is_valid({**lonely, "watchdog": {"driver": "card"}})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("memory: 256MiB", "memory: 256MB"),
        ("vcpus: 2", "vcpus: 0"),
        ("vcpus: 2", "vcpu: 2"),
        ("engine: tiny", "engine: tinny"),
        ("domain: web1", "domain: 1web"),
        ("domain: web1\n", ""),
        ("machine: pc", "machine: q53"),
        ("driver: card", "driver: disk"),
        ("timeout: 30s", "timeout: 30"),
        ("action: reset\n", "action: dump\n"),
        ("action: pause", "action: nmi"),
        ("after: 3", "after: 0"),
        ("driver: disk", "driver: elsewhere"),
        ("placement: mirror", "placement: miror"),
        ("placement: mirror", "place: mirror"),
        ("source: b, ", ""),
        ("prepare: 10min", "prepair: 10min"),
        ("prepare: 10min", "prepare: 10"),
        ("root:", "watchdog:"),
        ("root:", "a/b:"),
        ("bandwidth: 10GiB/s", "bandwidth: 10GiB"),
        ("boot: {kernel:", "boot: {kernal:"),
    ],
)
def test_it_refuses_what_check_refuses(schema, tmp_path: Path, old, new):
    text = (GOOD + "machine: pc\n").replace(old, new)
    assert text != GOOD + "machine: pc\n"
    assert not schema.is_valid(data(text))
    file = tmp_path / "f.yaml"
    file.write_text(text)
    assert check_files([file]) != []


# What is nearly right, so that the files that are accepted are many and odd.
TEXTS = st.sampled_from(["a", "web1", "none", "30s", "", " ", "é"]) | st.text(max_size=5)
SIZES = st.sampled_from(["1MiB", "2 GiB", " 1.5MiB ", "1048576B", "3"])
DURATIONS = st.sampled_from(["30s", "0.5 min", " 2h ", "300ms", "1d", "0s"])
RATES = st.sampled_from(["10GiB/s", "1 KiB /s", " 1B/s ", "1GiB"])
ACTIONS = st.sampled_from(["reset", "notify"])
NAMES = st.sampled_from(["a", "web1", "x-1", "A.b_c", "a" * 24, "a" * 48]) | st.from_regex(
    "[A-Za-z][A-Za-z0-9._-]{0,23}", fullmatch=True
)
DEVICE = st.fixed_dictionaries(
    {"driver": st.just("disk"), "source": st.sampled_from(["a", "/b", "ü"]) | TEXTS},
    optional={
        "placement": st.sampled_from(["shared", "mirror", "local"]),
        "parts": st.lists(
            st.fixed_dictionaries({"name": TEXTS}, optional={"size": SIZES}), max_size=3
        ),
        "count": st.integers(0, 8) | st.booleans(),
        "timeouts": st.dictionaries(st.sampled_from(["test", "sync", "close", "stop"]), DURATIONS),
        "limit": RATES,
        "wait": DURATIONS,
        "ratio": st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        "cache": st.sampled_from(["none", 0, 1, -5]),
        "sync": st.booleans(),
        "mac": st.just("52:54:00:12:34:56"),
    },
)
DOMAIN = st.fixed_dictionaries(
    {"domain": NAMES, "engine": st.just("tiny"), "memory": SIZES},
    optional={
        "uuid": st.uuids().map(str),
        "vcpus": st.integers(1, 5) | st.floats(1, 2),
        "machine": st.sampled_from(["pc", "q35"]),
        "boot": st.dictionaries(st.sampled_from(["kernel", "initrd", "cmdline"]), TEXTS),
        "watchdog": st.fixed_dictionaries(
            {"driver": st.just("card")},
            optional={
                "timeout": DURATIONS,
                "action": ACTIONS,
                "beep": st.booleans(),
                "escalate": st.fixed_dictionaries(
                    {"after": st.integers(1, 4), "within": DURATIONS, "action": ACTIONS}
                ),
            },
        ),
        "devices": st.dictionaries(NAMES, DEVICE, max_size=3),
        "migration": st.fixed_dictionaries(
            {}, optional={"downtime_limit": DURATIONS, "timeout": DURATIONS, "bandwidth": RATES}
        ),
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DOMAIN)
def test_every_file_that_check_accepts_is_accepted_by_the_schema(schema, tmp_path: Path, domain):
    file = tmp_path / "f.yaml"
    file.write_text(yaml.safe_dump(domain, allow_unicode=True), encoding="utf-8")
    accepted = check_files([file]) == []
    event(f"accepted: {accepted}")
    if accepted:
        schema.validate(data(file.read_text(encoding="utf-8")))
