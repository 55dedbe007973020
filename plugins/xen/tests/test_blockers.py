"""What Xen cannot move is refused beforehand, each reason with its remedy."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from domwarden.contract import Definition
from domwarden_xen import blockers
from domwarden_xen.facts import Facts
from domwarden_xen.record import Record
from domwarden_xen.xl import Row

from .bench import UUID, definition
from .fake_world import INFO

HERE = Facts.of(INFO)
RECORD = Record("boot", UUID)
RUNS = Row("web1", 7, "-b----", UUID)


def live(kind: str = "pvh", facts: Facts = HERE) -> Definition:
    return dataclasses.replace(definition(), live={"type": kind, **facts.as_json()})


def codes(
    kind: str = "pvh", devices: dict[str, Any] | None = None, **more: Any
) -> list[tuple[str, str]]:
    given = {"record": RECORD, "row": RUNS, "live": True, "here": HERE, **more}
    found = blockers.of_source(live(kind), devices=devices or {}, **given)
    assert all(refusal.reason and refusal.remedy for refusal in found)
    return [(refusal.code, refusal.device) for refusal in found]


def test_a_plain_domain_moves() -> None:
    """Nothing is against it."""
    assert codes() == []
    assert not blockers.of_destination(live(), HERE)


def test_pv_moves_live_only_with_shadow_paging() -> None:
    """A save needs none."""
    shadow = dataclasses.replace(HERE, virtualization=("pv", "hvm", "shadow"))
    assert codes("pv") == [("no-shadow-paging", "")]
    assert codes("pv", live=False) == []
    assert codes("pv", here=shadow) == []


@pytest.mark.parametrize("kind", ["pvh", "pv", "hvm"])
def test_every_device_that_stays_is_named_at_once(kind: str) -> None:
    """xl would fail in the middle and name none."""
    devices = {
        "card": {"pci": ["0000:03:00.0"]},
        "tpm0": {"vtpm": [{"uuid": "u"}]},
        "stick": {"usbdev": ["type=hostdev"]},
        "root": {"disk": [{}]},
        "tpm1": {"vtpm": [{"backend": "vtpmmgr"}]},
        "tpm2": {"vtpm": ["backend=vtpmmgr,uuid=u"]},
    }
    wanted = [("pci-device", "card"), ("vtpm-backend", "tpm0"), ("usb-device", "stick")]
    assert codes(kind, devices, live=False) == wanted


def test_a_domain_that_is_moving_or_down_stays() -> None:
    """With what to do first."""
    moving = dataclasses.replace(RECORD, leaving="m1")
    assert codes(record=moving) == [("move-under-way", "")]
    assert codes(row=Row("web1", 7, "---sc-", UUID, reason=3)) == [("guest-failed", "")]


def test_hosts_that_differ_are_refused() -> None:
    """Another series of Xen, a missing feature by its name, a kind of guest."""
    source = Facts("4.17.7", "078bf3ff:80002003:20100800:00000005:0:0:0:0", ("pv", "hvm"))
    other = Facts("4.18.0", "078bf3fd:80002003:20100800:00000005:0:0:0:0", ("pv",))
    found = blockers.of_destination(live("pvh", source), other)
    assert [refusal.code for refusal in found] == ["xen-version", "cpu-features", "guest-type"]
    assert "1d:1 " in found[1].reason
    more = dataclasses.replace(source, xen="4.17.9", features="ffffffff:" * 7 + "ffffffff")
    assert not blockers.of_destination(live("pvh", source), more)
