"""What xl prints is read strictly, and a silent or killed xl leaves the outcome unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from domwarden.contract import EngineError, OutcomeUnknownError
from domwarden_xen.facts import Facts
from domwarden_xen.xl import Row, Xl, parse_rows

from . import fake_world as fake

#: As xl 4.17 prints it.
LISTING = """\
Name                                        ID   Mem VCPUs\tState\tTime(s)   UUID                            Reason-Code\tSecurity Label
Domain-0                                     0   384     1     r-----      14.5 00000000-0000-0000-0000-000000000000        -                -
pvh1                                         2   160     1     ---sw-      19.6 61b7c4e2-495a-42c7-aaa7-37fa5111e9d7        4                -
a name with blanks--incoming                12  1024    16     --p---       0.0 50b50b71-935d-4ec6-844b-d231299c7dc8        -                -
soft                                        13  1024    16     ---s?d       0.0 50b50b71-935d-4ec6-844b-d231299c7dc8        5 system_u:object_r:domU_t
"""  # noqa: E501 - the program's own lines


def test_rows_are_read_by_column() -> None:
    """Names may hold blanks; a letter means something by its place."""
    dom0, hung, incoming, soft = parse_rows(LISTING)
    assert (dom0.name, dom0.domid, dom0.reason) == ("Domain-0", 0, None)
    assert hung == Row(
        "pvh1", 2, "---sw-", "61b7c4e2-495a-42c7-aaa7-37fa5111e9d7", 160, 1, reason=4
    )
    assert (hung.shut_down, hung.paused, hung.dying) == (True, False, False)
    assert (incoming.name, incoming.paused) == ("a name with blanks--incoming", True)
    assert (soft.reason, soft.dying) == (5, True)


def test_an_unknown_line_is_an_error() -> None:
    """A domain must not be overlooked because xl changed."""
    with pytest.raises(EngineError, match="nobody knows"):
        parse_rows(LISTING + "web1 7 running\n")


async def test_a_silent_xl_is_killed_and_its_outcome_unknown(tmp_path: Path) -> None:
    """It may have acted."""
    program = fake.install(tmp_path)
    with fake.world(tmp_path / "host") as state:
        state["lies"] = {"list": "hang", "info": "die", "dmesg": "no"}
    xl = Xl(str(program))
    with pytest.raises(OutcomeUnknownError, match="silent"):
        await xl.run("list", "-v", timeout_seconds=0.3)
    with pytest.raises(OutcomeUnknownError, match="signal 9"):
        await xl.info()
    with pytest.raises(EngineError, match="dmesg refused") as caught:
        await xl.run("dmesg")
    assert not isinstance(caught.value, OutcomeUnknownError)


async def test_an_absent_xl_is_told_with_a_hint(tmp_path: Path) -> None:
    """The path is the host file's."""
    with pytest.raises(EngineError, match="toolstack"):
        await Xl(str(tmp_path / "xl")).rows()


async def test_what_xl_keeps_and_what_it_says_of_its_host(tmp_path: Path) -> None:
    """JSON where xl offers it."""
    xl = Xl(str(fake.install(tmp_path, xen_version="4.19.1")))
    assert await xl.configuration(0) == {"domid": 0, "config": {}}
    facts = Facts.of(await xl.info())
    assert (facts.xen, facts.series) == ("4.19.1", "4.19")
    assert Facts.from_json(facts.as_json()) == facts
