"""Nothing that a user or a plugin author can name is undocumented; links lead somewhere."""

import dataclasses
import importlib
import re
import tomllib
from collections.abc import Mapping
from typing import Any

import click
import pytest
from workspace import ROOT, distributions

from domwarden.cli.verbs import VERBS
from domwarden.config import CheckKind, guard_keys, keys
from domwarden.contract import DeviceHooks, EmbeddedHooks, QemuHooks, Tls, XenHooks
from domwarden.plan import JOB_STAGES
from domwarden.plugins import Kind, installed, load
from domwarden.plugins.hooks import arguments
from domwarden.plugins.options import json_schema_of
from domwarden.plugins.vetting import option_keys, option_mapping
from domwarden.service.api import ROUTES
from domwarden.service.metrics import Metrics
from domwarden.service.problems import CODES

from .pages import page, pages

DOMAIN = page("docs/domain-file.md")
HOST = page("docs/host-file.md")
GUARD = page("docs/guard.md")
CLI = page("docs/cli.md")
PLUGINS = page("docs/plugins.md")
SERVICE = page("docs/service.md")
EXAMPLES = {each.name: each.folder for each in distributions() if "examples/" in each.folder}


@pytest.mark.parametrize("hooks", [DeviceHooks, EmbeddedHooks, QemuHooks, XenHooks])
def test_each_hook_is_documented(hooks) -> None:
    """Each hook has a row with its arguments, and no hook is described that does not exist."""
    signatures = {f"{hook}({', '.join(names)})" for hook, names in arguments(hooks).items()}
    assert signatures <= PLUGINS.rows("The hooks")


def test_no_hook_is_documented_that_does_not_exist() -> None:
    """The table of hooks holds nothing else."""
    known = {
        f"{hook}({', '.join(names)})"
        for hooks in (DeviceHooks, EmbeddedHooks, QemuHooks, XenHooks)
        for hook, names in arguments(hooks).items()
    }
    assert PLUGINS.rows("The hooks") == known


@pytest.mark.parametrize(
    ("heading", "section"),
    [
        ("The domain", keys.domain_keys()),
        ("`watchdog`", keys.watchdog_keys()),
        ("`devices`", keys.device_keys()),
        ("`migration`", keys.migration_keys()),
        ("`boot`", keys.boot_keys()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_key_of_the_domain_file_is_documented(heading, section) -> None:
    """Each key that the core reads has its row under its heading, and no other key has one."""
    own = set(section.keys)
    if heading == "The domain":
        own |= set(keys.SECTIONS)
    if heading == "`devices`":
        assert all(f"`{stage}`" in DOMAIN.section(heading) for stage in JOB_STAGES)
    if heading == "`watchdog`":
        own |= {f"escalate.{key}" for key in ("after", "within", "action")}
    assert DOMAIN.rows(heading) == own


def test_each_key_of_the_host_file_is_documented() -> None:
    """Each key that the core reads of a host file has its row."""
    own = {*keys.host_keys().keys, "peers", "drivers"}
    own |= {f"peers.NAME.{key}" for key in keys.peer_keys().keys}
    own |= {f"tls.{field.name}" for field in dataclasses.fields(Tls)}
    assert HOST.rows("The host") == own


@pytest.mark.parametrize(
    ("heading", "section", "more"),
    [
        ("The guard", guard_keys.guard_keys(), guard_keys.SECTIONS),
        ("`watchdogs`", guard_keys.host_watchdog_keys(), ()),
        ("`checks`", guard_keys.check_keys(), ()),
        ("`repair`", guard_keys.repair_keys(), ()),
        *((f"`kind: {kind}`", guard_keys.kind_keys(kind), ()) for kind in CheckKind),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_key_of_the_guard_file_is_documented(heading, section, more) -> None:
    """Each key of a guard file has its row under its heading, and no other key has one."""
    assert GUARD.rows(heading) == {*section.keys, *more}


def _described(cls: Any, attribute: str) -> Mapping[str, Any]:
    schema = getattr(cls, attribute, None)
    return json_schema_of(option_mapping(schema) or {})["properties"] if schema else {}


def _rows(driver: Any, central: Any, attribute: str) -> tuple[set[str], set[str]]:
    """Return what a driver's options are called, and what its documentation calls them."""
    cls = load(driver.kind, driver.name).cls
    wanted = set(option_keys(getattr(cls, attribute, None) or {}) or ())
    for key, schema in _described(cls, attribute).items():
        wanted |= {f"{key}.{inner}" for inner in schema.get("properties", {})}
    heading = f"{driver.kind.title()} `{driver.name}`"
    if driver.distribution in EXAMPLES:
        own = page(f"{EXAMPLES[driver.distribution]}/README.md")
        return wanted, set(re.findall(r"^\| `([a-z_.]+)` \|", own.prose, re.MULTILINE))
    return wanted, central.rows(heading)


DRIVERS = [pytest.param(info, id=f"{info.kind}-{info.name}") for info in installed()]


@pytest.mark.parametrize("driver", DRIVERS)
def test_each_option_of_each_driver_is_documented(driver) -> None:
    """Each option of an installed driver has its row under the driver's heading, and none else."""
    assert not driver.error
    central = GUARD if driver.kind is Kind.HOST_WATCHDOG else DOMAIN
    wanted, documented = _rows(driver, central, "SCHEMA")
    if driver.distribution in EXAMPLES:
        assert wanted <= documented
    else:
        assert documented == wanted
        assert f"{driver.kind.title()} `{driver.name}`" in central.text


@pytest.mark.parametrize("driver", DRIVERS)
def test_each_host_setting_of_each_driver_is_documented(driver) -> None:
    """Each setting that a driver reads in the host file is documented."""
    wanted, documented = _rows(driver, HOST, "HOST_SCHEMA")
    if driver.distribution in EXAMPLES:
        text = page(f"{EXAMPLES[driver.distribution]}/README.md").text
        assert all(f"{key}:" in text for key in wanted)
    else:
        assert documented == wanted


def _verb(name: str) -> click.Command:
    command: click.Command = importlib.import_module(f"domwarden.cli.{name}").command
    return command


def _parameters(command: click.Command) -> list[click.Parameter]:
    """Return what a verb takes, or what its own verbs take."""
    if not isinstance(command, click.Group):
        return command.params
    return [parameter for each in command.commands.values() for parameter in each.params]


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_and_option_is_documented(verb) -> None:
    """Each verb has its section with its arguments, options and nothing that it does not take."""
    section = CLI.section(f"`{verb}`")
    assert section, f"docs/cli.md has no section `{verb}`"
    options: set[str] = set()
    for parameter in _parameters(_verb(verb)):
        if isinstance(parameter, click.Argument):
            name = parameter.metavar or str(parameter.name).upper()
            assert name in section, f"argument {name}"
        elif not getattr(parameter, "hidden", False):
            options |= {name for name in parameter.opts if name.startswith("--")}
    common = {"--json", "--host-file"}
    named = set(re.findall(r"--[a-z][a-z-]+", section))
    assert options - common <= named
    assert named <= options
    for option in options & common:
        assert option in CLI.section("Common to all verbs")


def test_each_route_problem_and_figure_of_the_service_is_documented() -> None:
    """The tables of the service's page hold what the service has, and nothing else."""
    assert SERVICE.rows("The API") == {f"{route.method} {route.path}" for route in ROUTES}
    assert SERVICE.rows("Problems") == set(CODES)
    statuses = re.findall(r"^\| `([\w-]+)` \| (\d+) \|", SERVICE.section("Problems"), re.MULTILINE)
    assert dict(statuses) == {code: str(status.value) for code, (status, _) in CODES.items()}
    registry = Metrics()._registry
    figures = {each.name + "_total" * (each.type == "counter") for each in registry.collect()}
    own = {name for name in figures if name.startswith("domwarden_")}
    assert SERVICE.rows("Figures") == own


def test_each_exit_code_is_documented() -> None:
    """The codes that the entry point uses are in the table."""
    assert CLI.rows("Exit codes") == {"0", "1", "2", "130"}


def test_each_kind_of_driver_is_documented() -> None:
    """The entry-point groups are named where plugins are explained."""
    assert all(kind.group in PLUGINS.text for kind in Kind)


def test_every_link_leads_somewhere() -> None:
    """Relative links in every page name files, and anchors name headings."""
    broken = []
    for each in pages():
        for link in each.links():
            if re.match(r"[a-z]+:", link):
                continue
            target, _, anchor = link.partition("#")
            path = (each.path.parent / target) if target else each.path
            if not path.exists():
                broken.append(f"{each.name}: {link}")
            elif anchor and anchor not in page(str(path.resolve().relative_to(ROOT))).anchors():
                broken.append(f"{each.name}: {link} (no such heading)")
    assert not broken


def test_every_test_that_a_page_names_exists() -> None:
    """A page that says which test proves a rule names a real one."""
    sources = "\n".join(
        path.read_text()
        for pattern in ("core/tests", "plugins/*/tests", "examples/*/tests", "tests")
        for folder in ROOT.glob(pattern)
        for path in folder.rglob("*.py")
    ) + "\n".join(path.read_text() for path in (ROOT / "core/src/domwarden/testing").rglob("*.py"))
    missing = [
        f"{each.name}: {name}"
        for each in pages()
        for name in re.findall(r"`((?:test|check)_[a-z0-9_]+)`", each.prose)
        if f"def {name}(" not in sources
    ]
    assert not missing


def test_every_file_that_a_page_names_exists() -> None:
    """Paths of the repository in prose are real."""
    missing = [
        f"{each.name}: {name}"
        for each in pages()
        for name in re.findall(r"`((?:core|plugins|tests|examples|docs|tools|bench)/[\w./-]+)`",
                               each.prose)
        if "/x/" not in name and not (ROOT / name).exists()
    ]  # fmt: skip
    assert not missing


def test_changelog_has_the_version_of_the_core() -> None:
    """What is released is in the changelog."""
    version = tomllib.loads((ROOT / "core/pyproject.toml").read_text())["project"]["version"]
    assert re.search(rf"^## \[{re.escape(version)}\]", page("CHANGELOG.md").text, re.MULTILINE)
