"""A timer is read out of Xen's console, and nothing is made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from domwarden.contract import Armed, Reading
from domwarden_xen.reading import parse

from . import fake_world as fake
from .bench import GUARDED, NAME, definition, engine, host_of

#: As Xen 4.17 prints it; the second dump counts.
CONSOLE = """\
(XEN) 'q' pressed -> dumping domain info (now = 1)
(XEN) General information for domain 2:
(XEN)     refcnt=3 dying=0 pause_count=0
(XEN)     watchdog 0 expires in 3 seconds
(XEN) 'q' pressed -> dumping domain info (now = 816078318930)
(XEN) General information for domain 0:
(XEN)     refcnt=3 dying=0 pause_count=0
(XEN)     pause_count=0 pause_flags=0
(XEN) General information for domain 2:
(XEN)     refcnt=3 dying=0 pause_count=0
(XEN)     watchdog 0 expires in -155 seconds
(XEN)     watchdog 1 expires in 20 seconds
(XEN)     pause_count=1 pause_flags=0
(XEN) General information for domain 12:
(XEN)     refcnt=3 dying=0 pause_count=1
(XEN)     watchdog 0 expires in 7 seconds
"""


def test_the_last_dump_counts_and_paused_domains_do_not() -> None:
    """An expired timer counts on below zero and is not armed."""
    timers = parse(CONSOLE, 100.0)
    assert timers.left_seconds == {0: None, 2: pytest.approx(21.47, abs=0.01)}
    reading = timers.reading(2, 101.0)
    assert reading.armed is Armed.ARMED
    assert reading.time_left_seconds == pytest.approx(20.47, abs=0.01)
    assert timers.reading(0, 101.0) == Reading(armed=Armed.DISARMED)


async def test_only_an_armed_timer_is_remembered(tmp_path: Path) -> None:
    """Xen's console is not filled by whoever asks again and again."""
    one = engine(tmp_path, "a")
    await one.start(await one.realize(definition(), GUARDED), GUARDED)
    assert (await one.read_watchdog(NAME)).armed is Armed.DISARMED
    fake.change(host_of(one), NAME, timeout=30)
    for _ in range(3):
        assert (await one.read_watchdog(NAME)).armed is Armed.ARMED
    with fake.world(host_of(one)) as state:
        assert [call for call in state["calls"] if call[0] == "debug-keys"] == [
            ["debug-keys", "q"],
            ["debug-keys", "q"],
        ]
    await one.pause(NAME)
    assert await one.read_watchdog(NAME) == Reading()
    (host_of(one) / "state.json").unlink()


async def test_nothing_is_pressed_where_the_host_forbids_it(tmp_path: Path) -> None:
    """Then nothing is known."""
    one = engine(tmp_path, "a", debug_keys=False)
    await one.start(await one.realize(definition(), GUARDED), GUARDED)
    assert await one.read_watchdog(NAME) == Reading()
    (host_of(one) / "state.json").unlink()
