"""The client of the hypercall: what it sends, what it refuses to send, how errors are named."""

import errno
import mmap
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden.contract import WatchdogAbsentError
from domwarden_xen_wdt import (
    Hypercall,
    HypercallError,
    NoSlot,
    NotPermitted,
    NoXen,
    UnknownTimer,
)
from domwarden_xen_wdt.hypercall import IOCTL_PRIVCMD_HYPERCALL, MOST_SECONDS, PRIVCMD_HYPERCALL
from domwarden_xen_wdt.page import Page

from .benches import make
from .privcmd import Privcmd
from .reference import Reference


@pytest.fixture
def privcmd(tmp_path):
    return Privcmd(make(), tmp_path)


@pytest.fixture
def call(privcmd):
    with privcmd.connect() as made:
        yield made


def test_the_call_is_what_the_headers_say(privcmd, call):
    """sched_op (29), SCHEDOP_watchdog (6), the address of { id, timeout }."""
    assert call.arm(30) == 1
    call.kick(1, 60)
    call.disarm(1)
    assert privcmd.requests == [(29, 6, (0, 30)), (29, 6, (1, 60)), (29, 6, (1, 0))]
    assert PRIVCMD_HYPERCALL.size == 48
    assert 0 << 30 | PRIVCMD_HYPERCALL.size << 16 | ord("P") << 8 | 0 == IOCTL_PRIVCMD_HYPERCALL


def test_a_domain_has_two_timers(call):
    assert [call.arm(30), call.arm(30)] == [1, 2]
    with pytest.raises(NoSlot, match="No space left") as caught:
        call.arm(30)
    assert caught.value.number == errno.ENOSPC


@pytest.mark.parametrize("timer", [1, 2, 3, MOST_SECONDS])
def test_a_timer_that_is_not_in_use_is_unknown(call, timer):
    with pytest.raises(UnknownTimer, match="Invalid argument"):
        call.kick(timer, 30)
    with pytest.raises(UnknownTimer):
        call.disarm(timer)


def test_a_guests_kernel_that_bars_hypercalls_is_named_with_its_remedy(privcmd, call):
    privcmd.blocked = True
    with pytest.raises(NotPermitted) as caught:
        call.arm(30)
    assert "unrestricted=1" in caught.value.hint
    assert "unrestricted=1" in str(caught.value)


def test_a_machine_without_xen_has_no_such_watchdog(tmp_path):
    with pytest.raises(NoXen, match=r"there is no .*/privcmd") as caught:
        Hypercall(tmp_path / "privcmd")
    assert isinstance(caught.value, WatchdogAbsentError)


def test_another_error_keeps_its_number(tmp_path):
    def faulty(*_):
        raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))

    (tmp_path / "privcmd").touch()
    with Hypercall(tmp_path / "privcmd", faulty) as call, pytest.raises(HypercallError) as caught:
        call.arm(30)
    assert type(caught.value) is HypercallError
    assert caught.value.number == errno.EFAULT


def test_what_would_kill_the_domain_at_once_is_never_sent(privcmd, call):
    """A new timer of no seconds, by whichever door."""
    for attempt in (lambda: call.arm(0), lambda: call.call(0, 0), lambda: call.disarm(0)):
        with pytest.raises(ValueError, match=r"must be|expire at once"):
            attempt()
    assert privcmd.requests == []


@given(timer=st.integers(), seconds=st.integers())
def test_a_kick_never_stops_or_makes_a_timer(tmp_path_factory, timer, seconds):
    """What is no kick is refused before it is sent: id 0 would make one, 0 seconds free one."""
    privcmd = Privcmd(make(), tmp_path_factory.mktemp("dev"))
    with privcmd.connect() as call:
        call.arm(30)
        call.arm(30)
        before = len(privcmd.requests)
        try:
            call.kick(timer, seconds)
        except (ValueError, UnknownTimer):
            pass
        for _, _, (number, timeout) in privcmd.requests[before:]:
            assert (number, timeout) == (timer, seconds)
            assert number >= 1
            assert timeout >= 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("arm"), st.integers(1, 20)),
        st.tuples(st.just("kick"), st.integers(1, 4), st.integers(1, 20)),
        st.tuples(st.just("disarm"), st.integers(1, 4)),
        st.tuples(st.just("wait"), st.integers(1, 200)),
    ),
    max_size=30,
)


@given(steps=STEPS)
def test_any_use_of_the_client_does_what_the_table_says(tmp_path_factory, steps):
    """Answers and expiries of the engine, through the client, are those of the reference."""
    bench, reference = make(), Reference()
    privcmd = Privcmd(bench, tmp_path_factory.mktemp("dev"))
    fired = 0
    with privcmd.connect() as call:
        for name, *values in steps:
            if name == "wait":
                bench.advance(values[0] / 10)
                fired += len(reference.expired(bench.seconds))
                assert len(bench.expiries) == fired
                continue
            number, seconds = {"arm": [0, *values], "disarm": [*values, 0]}.get(name, values)
            expected = reference.watchdog(bench.seconds, number, seconds)
            assert answer(call, name, values) == expected


def answer(call, name, values):
    try:
        return getattr(call, name)(*values) or 0
    except (NoSlot, UnknownTimer) as error:
        return -error.number


def test_closing_the_client_stops_nothing(privcmd):
    with privcmd.connect() as call:
        call.arm(30)
    privcmd.bench.advance(30)
    assert len(privcmd.bench.expiries) == 1


def test_the_page_is_aligned_locked_memory_of_this_process():
    page = Page()
    assert page.write(b"12345678") % mmap.PAGESIZE == 0
    with open("/proc/self/smaps") as maps:
        flags, here = "", False
        for line in maps:
            if line.startswith(f"{page.address:x}-"):
                here = True
            elif here and line.startswith("VmFlags:"):
                flags = line
                break
    assert " dc" in flags  # not copied into children
    assert " lo" in flags or os.geteuid() != 0  # locked, where the limit allows it
    page.close()


def test_a_child_does_not_call_with_its_parents_page():
    page = Page()
    page._owner -= 1
    with pytest.raises(RuntimeError, match="forked"):
        page.write(b"")
    page.close()
