"""The guest's /dev/watchdog over the hypercall behaves as Linux' xen_wdt."""

from domwarden.contract import Action, RunState

from .benches import make


def left(bench):
    return bench.machine.read_watchdog().time_left_seconds


def test_kicks_keep_the_guest_alive_and_a_hang_is_reset():
    bench = make(action=Action.RESET, guest=True)
    assert bench.type("watchdog start 10 3") == [
        "watchdog: armed timeout 10 pretimeout 0 left 10 bootstatus 0x0"
    ]
    bench.advance(100)
    assert bench.expiries == []
    bench.type("hang irqs-off")
    bench.advance(10)
    assert bench.expiries == [Action.RESET]
    assert bench.type("watchdog status") == [
        "watchdog: off timeout 60 pretimeout 0 left 0 bootstatus 0x20"
    ]


def test_magic_close_disarms_and_a_killed_kicker_does_not():
    bench = make(guest=True)
    bench.type("watchdog start 10 3")
    bench.type("watchdog stop")
    assert left(bench) is None
    bench.type("watchdog start 10 3")
    bench.type("watchdog kill")
    assert left(bench) == 10.0  # the close kicked once more
    bench.advance(10)
    assert bench.expiries == [Action.NOTIFY]


def test_zero_seconds_are_refused_by_the_driver():
    bench = make(guest=True)
    assert bench.type("watchdog start 0") == ["watchdog: -EINVAL"]
    bench.advance(1000)
    assert bench.expiries == []


def test_pretimeout_is_raised_by_the_hypervisor():
    bench = make(guest=True)
    bench.type("watchdog start 10 9")
    bench.type("watchdog pretimeout 4")
    bench.advance(6.5)
    assert "watchdog: watchdog0: pretimeout event" in bench.machine.console.since(0)
    assert bench.expiries == []


def test_guest_goes_on_kicking_after_a_move():
    source, target = make(guest=True), make(guest=True, power=False)
    source.type("watchdog start 10 3")
    source.advance(5)
    source.move_to(target)
    assert target.machine.state is RunState.RUNNING
    target.advance(100)
    assert target.expiries == []
    target.type("hang panic")
    target.advance(10)
    assert target.expiries == [Action.NOTIFY]
