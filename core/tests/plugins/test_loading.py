"""A driver that cannot be used is one clear line with its distribution and version."""

import sys
from pathlib import Path

import pytest

from domwarden.contract import DriverError
from domwarden.plugins import Kind, installed, load

from .throwaway import DEVICE, ENGINE, install


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def add(source: str, **how: str) -> str:
        return install(tmp_path, monkeypatch, source, **how)

    return add


def fault(kind: Kind = Kind.DEVICE, name: str = "card") -> DriverError:
    with pytest.raises(DriverError) as caught:
        load(kind, name)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_driver_is_loaded_with_its_distribution(site):
    site(DEVICE, device_card="Card")
    driver = load(Kind.DEVICE, "card")
    assert (driver.name, driver.distribution, driver.version) == ("card", "acme-cards", "2.5")
    assert driver.cls("a", {}).id == "a"
    assert load(Kind.DEVICE, "card") is driver


def test_only_the_named_driver_is_imported(site):
    other = site("raise RuntimeError('not asked for')", device_other="Card")
    mine = site(DEVICE, name="acme-more", device_card="Card")
    load(Kind.DEVICE, "card")
    assert mine in sys.modules
    assert other not in sys.modules


def test_a_missing_driver_names_the_closest_installed_one(site):
    site(DEVICE, device_card="Card", watchdog_biter="Card")
    assert "did you mean 'card'? installed: " in str(fault(name="crad"))
    assert "another kind, watchdog" in str(fault(name="biter"))
    assert "install the distribution that brings it" in str(fault(name="zzzzzz"))


def test_two_distributions_with_one_name_are_both_named(site):
    site(DEVICE, device_card="Card")
    # A driver whose name lies between the two: neighbours are no condition.
    site(DEVICE, name="acme-between", device_carc="Card", device_carz="Card")
    site(DEVICE, name="zeta", version="0.9", device_card="Card")
    line = str(fault())
    assert "acme-cards 2.5" in line
    assert "zeta 0.9" in line
    assert load(Kind.DEVICE, "carc").distribution == "acme-between"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import no_such_module", "cannot be imported: ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
        ("assert False, 'two\\nlines'", "cannot be imported: AssertionError: two lines"),
        ("Card = = 1", "cannot be imported: SyntaxError"),
        ("pass", "has no attribute 'Card'"),
        ("def Card(): pass", "is not a class but function 'Card'"),
        ("import sys as Card", "is not a class but module 'sys'"),
        ("class Card:\n    SCHEMA = {}", "states no contract number: write `contract = 1`"),
        ("class Card:\n    SCHEMA = {}\n    contract = 2", "speaks contract 2, this domwarden"),
        ("class Card:\n    SCHEMA = {}\n    contract = 0", "upgrade that distribution"),
        ("class Card:\n    SCHEMA = {}\n    contract = '1'", "which is no whole number"),
        ("class Card:\n    SCHEMA = {}\n    contract = True", "which is no whole number"),
        ("class Card:\n    contract = 1", "has no SCHEMA"),
        ("class Card:\n    contract = 1\n    SCHEMA = 5", "has a SCHEMA that is not a mapping"),
        ("class Card:\n    contract = 1\n    SCHEMA = {'a': range(2)}", "that voluptuous refuses"),
        ("class Card:\n    contract = 1\n    SCHEMA = {'driver': str}", "to domwarden: driver"),
        (
            "class Card:\n    contract = 1\n    SCHEMA = {}\n    HOST_SCHEMA = []",
            "has a HOST_SCHEMA that is not a mapping",
        ),
        (
            "class Card:\n    contract = 1\n    SCHEMA = {}\n    def __eq__(self, x): return True",
            "must compare by identity",
        ),
    ],
)  # fmt: skip
def test_a_class_that_breaks_the_contract_is_one_line(site, source, expected):
    site(source, device_card="Card")
    error = fault()
    assert expected in str(error)
    assert str(error).startswith("acme-cards 2.5: device driver 'card' (throwaway_")
    assert (error.distribution, error.version) == ("acme-cards", "2.5")


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        ("@hookimpl\nasync def migrate(self, domain, step): pass", "has `async def migrate`"),
        ("@hookimpl\nasync def migrate(self, domain, step): yield", "has `async def migrate`"),
        ("@hookimpl(wrapper=True)\ndef migrate(self, domain, step): yield", "hook wrapper migrate"),
        ("@hookimpl(hookwrapper=True)\ndef open(self): yield", "has the hook wrapper open"),
        ("@hookimpl\ndef migrate(self, domain, step): yield 1", "has a `yield` in hook migrate"),
        ("@hookimpl\ndef migrat(self, domain, step): pass", "did you mean migrate"),
        ("@hookimpl\ndef zzz(self): pass", "has a hook zzz, which does not exist: the hooks are"),
        ("@hookimpl(specname='recieve')\ndef r(self, step): pass", "did you mean receive"),
        ("@hookimpl\ndef migrate(self, domain, steps): pass", "unknown argument 'steps'"),
        ("@hookimpl\ndef migrate(self, domain, step=None): pass", "default or keyword-only 'step'"),
        ("@hookimpl\ndef migrate(self, *, step): pass", "default or keyword-only 'step'"),
        ("@hookimpl\ndef migrate(self, **all): pass", "has *all in hook migrate"),
        ("@hookimpl\ndef qemu_args(self, machine): pass", "it may take domain"),
        ("@staticmethod\n@hookimpl\ndef close(self): pass", "unknown argument 'self'"),
        ("def recover(self, domain, step): pass", "has a method recover without @hookimpl"),
    ],
)
def test_a_hook_that_cannot_work_is_one_line(site, hook, expected):
    body = "\n".join("    " + line for line in hook.splitlines())
    site(f"{DEVICE}\n{body}", device_card="Card")
    assert expected in str(fault())


def test_hooks_that_work_are_accepted(site):
    site(
        DEVICE
        + """
    @hookimpl
    def migrate(self, step): return None

    @hookimpl(specname="receive")
    def arrive(self, domain, step): return None

    @hookimpl
    def qemu_args(self, domain): return []

    @hookimpl(optionalhook=True)
    def third_party(self, anything): return None

    @staticmethod
    @hookimpl
    def close(domain): return None

    def closed(self): return None
""",
        device_card="Card",
    )
    [info] = [info for info in installed() if info.name == "card"]
    assert info.error == ""
    assert info.hooks == ("close", "migrate", "qemu_args", "receive", "third_party")


def test_a_watchdog_states_its_clock_and_its_actions(site):
    site(
        """
        class Silent:
            contract = 1
            SCHEMA = {}
        class Wrong(Silent):
            CLOCK = TimerClock.HOST
            ACTIONS = {"reset"}
        class Right(Silent):
            CLOCK = TimerClock.GUEST
            ACTIONS = frozenset({Action.RESET})
        """,
        watchdog_silent="Silent",
        watchdog_wrong="Wrong",
        watchdog_right="Right",
    )
    assert "states no CLOCK" in str(fault(Kind.WATCHDOG, "silent"))
    assert "has ACTIONS that are not a frozenset" in str(fault(Kind.WATCHDOG, "wrong"))
    assert load(Kind.WATCHDOG, "right").name == "right"


def test_what_a_driver_has_against_a_file_is_asked_of_its_class(site):
    """No object of it exists when a file is checked."""
    site(
        """
        class Plain:
            contract = 1
            SCHEMA = {}
            def misfits(self, definition, options): return []
        class Good(Plain):
            @classmethod
            def misfits(cls, definition, options): return []
        """,
        device_plain="Plain",
        device_good="Good",
    )
    assert "misfits` that is no class method" in str(fault(Kind.DEVICE, "plain"))
    assert load(Kind.DEVICE, "good").name == "good"


def test_an_engine_is_whole_and_its_hooks_are_its_own(site):
    site(
        ENGINE
        + """
class Partial(Engine):
    pass
class Foreign:
    contract = 1
    SCHEMA = {}
class Hooked(_Whole):
    DEVICE_HOOK = "attatch"
    HOOKS = EmbeddedHooks
class Greedy(_Whole):
    HOOKS = DeviceHooks
class Right(_Whole):
    SCHEMA = {"boot": {"program": str}}
    DEVICE_HOOK = "attach"
    HOOKS = EmbeddedHooks
""",
        engine_partial="Partial",
        engine_foreign="Foreign",
        engine_hooked="Hooked",
        engine_greedy="Greedy",
        engine_right="Right",
    )
    assert "does not implement act, " in str(fault(Kind.ENGINE, "partial"))
    assert "does not derive from domwarden.contract.Engine" in str(fault(Kind.ENGINE, "foreign"))
    assert "DEVICE_HOOK 'attatch' that is not among" in str(fault(Kind.ENGINE, "hooked"))
    assert "redefine hooks of every device" in str(fault(Kind.ENGINE, "greedy"))
    assert load(Kind.ENGINE, "right").name == "right"


def test_a_host_watchdog_is_whole(site):
    """A guard that found out at the first kick would be too late."""
    site(
        """
class Partial(HostWatchdog):
    def arm(self, timeout_seconds): return timeout_seconds
    def kick(self): pass
class Foreign:
    contract = 1
    SCHEMA = {}
class Taking(Partial):
    SCHEMA = {"timeout": int}
class Right(Partial):
    def hand_over(self, timeout_seconds): pass
    def disarm(self): pass
""",
        host_watchdog_partial="Partial",
        host_watchdog_foreign="Foreign",
        host_watchdog_taking="Taking",
        host_watchdog_right="Right",
    )
    partial = str(fault(Kind.HOST_WATCHDOG, "partial"))
    assert "host watchdog driver 'partial'" in partial
    assert "does not implement disarm, hand_over" in partial
    foreign = str(fault(Kind.HOST_WATCHDOG, "foreign"))
    assert "does not derive from domwarden.contract.HostWatchdog" in foreign
    assert "keys that belong to domwarden: timeout" in str(fault(Kind.HOST_WATCHDOG, "taking"))
    assert load(Kind.HOST_WATCHDOG, "right").name == "right"


def test_several_faults_are_told_at_once(site):
    site("class Card:\n    @hookimpl\n    async def open(self): pass", device_card="Card")
    line = str(fault())
    assert "no contract number" in line
    assert "no SCHEMA" in line
    assert "async def open" in line


def test_one_broken_driver_breaks_no_other_in_the_list(site):
    site(DEVICE, device_good="Card")
    site("1 / 0", name="acme-broken", device_bad="Card", watchdog_bad="Card")
    site(DEVICE, name="acme-rival", device_good="Card")
    found = {(i.kind, i.name, i.distribution): i for i in installed()}
    assert "ZeroDivisionError" in found[Kind.DEVICE, "bad", "acme-broken"].error
    assert "ZeroDivisionError" in found[Kind.WATCHDOG, "bad", "acme-broken"].error
    assert "is offered by" in found[Kind.DEVICE, "good", "acme-cards"].error
    assert "is offered by" in found[Kind.DEVICE, "good", "acme-rival"].error


def test_the_list_tells_what_each_option_takes(site):
    site(
        """
        class Card:
            contract = 1
            SCHEMA = {
                voluptuous.Required("source", description="The image."): units.path,
                voluptuous.Optional("cache", default="none"): voluptuous.In(["none", "some"]),
            }
        """,
        device_card="Card",
    )
    [info] = [info for info in installed() if info.name == "card"]
    assert info.contract == 1
    assert info.options == {
        "source": {
            "type": "string", "minLength": 1, "description": "The image.", "required": True,
        },
        "cache": {"enum": ["none", "some"], "default": "none"},
    }  # fmt: skip


def test_a_torn_entry_points_file_hides_no_other_driver(site, tmp_path, monkeypatch, caplog):
    torn = tmp_path / "torn" / "torn-1.0.dist-info"
    torn.mkdir(parents=True)
    (torn / "entry_points.txt").write_text("[domwarden.devices]\nno equals sign\n")
    monkeypatch.syspath_prepend(str(torn.parent))
    site(DEVICE, device_card="Card")
    assert load(Kind.DEVICE, "card").name == "card"
    assert "torn-1.0.dist-info: entry_points.txt cannot be read" in caplog.text


def test_a_distribution_without_metadata_is_still_named_somehow(site, tmp_path):
    site("pass", device_card="Card")
    [metadata] = tmp_path.glob("site-*/*.dist-info/METADATA")
    metadata.unlink()
    assert str(fault()).startswith("unnamed distribution of unknown version: device driver 'card'")
