"""What QEMU itself has against a move, as refusals with a remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from domwarden.contract import Definition, Refusal

from .observe import UNDER_WAY
from .record import Record

_REMEDIES: Sequence[tuple[str, str, str]] = (
    ("VirtFS", "shared-folder", "unmount the shared folder in the guest"),
    ("ivshmem", "shared-memory", "use ivshmem-doorbell, or remove the shared memory"),
    ("vvfat", "image-format", "use a raw or qcow2 image instead of a host folder"),
    ("does not support live migration", "image-format", "convert the image to raw or qcow2"),
    ("VFIO", "host-device", "unplug the host's device for the move (on_migrate: unplug)"),
    (
        "non-migratable device",
        "device-state",
        "unplug the device for the move (on_migrate: unplug)",
    ),
    ("invtsc", "cpu-host", "name a CPU model without invtsc"),
)
_ADDRESS = re.compile(r"\b0000:00:([0-9a-f]{2})\.[0-7]\b")


def refusals(
    definition: Definition,
    record: Record,
    status: str,
    migration: Mapping[str, Any],
) -> list[Refusal]:
    """Return every reason at once, from the answers to query-status and query-migrate."""
    found = [_blocked(definition, str(text)) for text in migration.get("blocked-reasons", ())]
    phase = migration.get("status", "none")
    if definition.live.get("cpu") in ("host", "max"):
        found.append(
            Refusal(
                "cpu-host",
                f"the processor model is {definition.live['cpu']}, which no other host has exactly",
                "start the domain with a named CPU model (cpu: auto)",
            )
        )
    if phase in UNDER_WAY:
        found.append(
            Refusal(
                "move-under-way", f"QEMU is already moving it ({phase})", "abort that move first"
            )
        )
    if status == "postmigrate" and phase not in UNDER_WAY:
        # qmp_migrate refuses in this run state, which only ``cont`` ends.
        found.append(
            Refusal(
                "paused-by-move",
                "it was left paused by an earlier move, and QEMU cannot move it again so",
                "resume it, then pause it again if it must be paused",
            )
        )
    if not record.ran and any(_is_disk(entry) for entry in definition.live.get("devices", ())):
        # Its disks are inactive until it runs; QEMU 7.2 aborts when it inactivates them again.
        found.append(
            Refusal(
                "never-ran-here",
                "it arrived paused and has not run here yet, so its disks are not active",
                "resume it, then pause it again if it must be paused",
            )
        )
    if status in ("guest-panicked", "io-error", "internal-error", "shutdown"):
        found.append(
            Refusal("guest-failed", f"QEMU stopped it: {status}", "reset or resume it first")
        )
    return found


def _is_disk(entry: Mapping[str, Any]) -> bool:
    return "drive" in entry


def _blocked(definition: Definition, text: str) -> Refusal:
    known = ((code, remedy) for sign, code, remedy in _REMEDIES if sign in text)
    code, remedy = next(known, ("engine-blocker", "remove what QEMU names"))
    return Refusal(code, f"QEMU: {text}", remedy, device=_culprit(definition, text))


def _culprit(definition: Definition, text: str) -> str:
    """Return the YAML id of the device the text is about, if it can be told."""
    slots = {int(slot, 16) for slot in _ADDRESS.findall(text)}
    for device, address in definition.live.get("addresses", {}).items():
        if int(str(address).partition(".")[0], 16) in slots:
            return str(device)
    for entry in definition.devices:
        if re.search(rf"(?<![\w-]){re.escape(entry.id)}(?![\w-])", text):
            return entry.id
    return ""
