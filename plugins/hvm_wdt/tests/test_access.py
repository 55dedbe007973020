"""Accesses that are not aligned, and what drivers say of themselves."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden.contract import Definition, Domain, Host, QemuArgument, TimerClock
from domwarden_hvm_wdt import I6300esb, Ib700
from domwarden_hvm_wdt.access import pieces


@given(st.integers(0, 300), st.sampled_from([1, 2, 4]))
def test_pieces_are_aligned_and_cover_the_access(offset: int, size: int) -> None:
    """Each naturally aligned, in order, without gap or overlap."""
    at = offset
    for start, length in pieces(offset, size):
        assert start == at
        assert length in (1, 2, 4)
        assert start % length == 0
        at += length
    assert at == offset + size


def test_an_access_is_split_as_qemu_splits_it() -> None:
    """4 bytes at 1: one, then two, then one."""
    assert list(pieces(1, 4)) == [(1, 1), (2, 2), (4, 1)]
    assert list(pieces(4, 4)) == [(4, 4)]


@pytest.mark.parametrize(("driver", "name"), [(I6300esb, "i6300esb"), (Ib700, "ib700")])
def test_on_qemu_a_card_is_one_device_with_its_id(
    driver: type[I6300esb | Ib700], name: str
) -> None:
    """The engine adds the address and the action."""
    definition = Definition(name="d", uuid="", engine="qemu", memory_bytes=1)
    domain = Domain(definition=definition, host=Host("a", Path("state")))
    card = driver("watchdog", {})
    assert card.qemu_args(domain) == [QemuArgument("device", {"driver": name, "id": "watchdog"})]
    assert card.describe(domain)["card"] == name
    assert driver.CLOCK is TimerClock.GUEST
