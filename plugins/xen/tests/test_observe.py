"""Xen's words for a domain are read with caution: nothing owns a domain by accident."""

from __future__ import annotations

import dataclasses

import pytest

from domwarden.contract import RunState
from domwarden_xen.observe import judge
from domwarden_xen.record import Record
from domwarden_xen.xl import Row

UUID = "11111111-2222-3333-4444-555555555555"
STARTED = Record("boot", UUID, on={"on_watchdog": "preserve", "on_poweroff": "destroy"})
HELD = dataclasses.replace(STARTED, ran=False)
COMING = dataclasses.replace(STARTED, migration="m", activated=False, ran=False)
RESETS = dataclasses.replace(STARTED, watchdog_action="reset", on={"on_watchdog": "restart"})
PAUSES = dataclasses.replace(STARTED, watchdog_action="pause")


def row(flags: str, name: str = "web1", *, reason: int | None = None, uuid: str = UUID) -> Row:
    return Row(name, 7, flags, uuid, reason=reason)


@pytest.mark.parametrize(
    ("record", "rows", "expected"),
    [
        (STARTED, [], RunState.ENDED),
        (STARTED, [row("-b----", uuid="0" * 36)], RunState.ENDED),  # another one with its name
        (STARTED, [row("-b----")], RunState.RUNNING),
        (STARTED, [row("r-----")], RunState.RUNNING),
        (STARTED, [row("------")], RunState.RUNNING),
        (STARTED, [row("--p---")], RunState.PAUSED),
        (STARTED, [row("--p--d")], RunState.ENDED),
        (STARTED, [row("--p---", "(null)")], RunState.ENDED),  # its making was interrupted
        (HELD, [row("--p---")], RunState.INCOMING),
        (COMING, [row("--p---")], RunState.INCOMING),
        (COMING, [row("--p---", "web1--incoming")], RunState.INCOMING),
        (dataclasses.replace(COMING, received=True), [row("--p---")], RunState.RECEIVED),
        (STARTED, [row("---ss-", reason=2)], RunState.SUSPENDED),
        (STARTED, [row("---ss-", "web1--migratedaway", reason=2)], RunState.DEPARTED),
        (STARTED, [row("---s--", reason=0)], RunState.ENDED),
        (STARTED, [row("---sc-", reason=3)], RunState.ENDED),
        (PAUSES, [row("---sw-", reason=4)], RunState.PAUSED),
        (RESETS, [row("---sw-", reason=4)], RunState.UNKNOWN),  # about to be made again
    ],
)
def test_each_look_means_what_it_says(record: Record, rows: list[Row], expected: RunState) -> None:
    """A copy under another name is never one that runs, whatever its flags say."""
    assert judge("web1", record, rows).state is expected


def test_a_copy_beside_its_remains_counts_by_its_plain_name() -> None:
    """A half-made copy and one that was sent away do not hide the one that is here."""
    rows = [row("--p---", "web1--incoming"), row("-b----"), row("---ss-", "web1--migratedaway")]
    assert judge("web1", STARTED, rows).state is RunState.RUNNING
