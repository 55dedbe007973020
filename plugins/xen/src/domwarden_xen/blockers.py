"""What Xen itself has against a move, as refusals with a remedy; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from domwarden.contract import Definition, Refusal

from .facts import Facts
from .record import Record
from .xl import SUSPEND, Row


def of_source(
    definition: Definition,
    here: Facts,
    record: Record | None,
    row: Row | None,
    devices: Mapping[str, Mapping[str, Any]],
    *,
    live: bool,
) -> list[Refusal]:
    """Return every reason at the source, all at once.

    ``devices`` are the answers of the devices to ``xl_config``; ``live``: it is a migration, not a
    save, so Xen has to track what the guest writes.
    """
    found: list[Refusal] = []
    kind = str(definition.live.get("type", definition.options.get("type", "pvh")))
    if live:
        found += _no_shadow(kind, here)
    for device, answer in devices.items():
        found += _device(device, answer, kind)
    if record is not None and (record.leaving or record.departed):
        found.append(
            Refusal(
                "move-under-way",
                f"it is already being moved ({record.leaving or 'departed'})",
                "abort that move first: domwarden recover",
            )
        )
    if row is not None and row.shut_down and row.reason != SUSPEND:
        found.append(
            Refusal(
                "guest-failed",
                f"it has shut down (code {row.reason})",
                "reset or resume it first",
            )
        )
    return found


def of_live(definition: Definition) -> list[Refusal]:
    """Return what is against a live move alone, from what the source says of itself."""
    kind = str(definition.live.get("type", "pvh"))
    return _no_shadow(kind, Facts.from_json(definition.live))


def _no_shadow(kind: str, source: Facts) -> list[Refusal]:
    if kind != "pv" or "shadow" in source.virtualization:
        return []
    return [
        Refusal(
            "no-shadow-paging",
            "the source's Xen is built without shadow paging, and a pv guest moves live only"
            " with it",
            "save and restore it instead, use type: pvh, or a Xen with shadow paging",
        )
    ]


def _device(device: str, answer: Mapping[str, Any], kind: str) -> Iterable[Refusal]:
    if answer.get("pci"):
        passed = (
            "a pvh guest cannot have PCI devices of the host"
            if kind == "pvh"
            else "a PCI device of the host cannot be moved, and Xen names it only as"
            " `Failed to enable logdirty` in the middle of a move"
        )
        yield Refusal(
            "pci-device",
            passed,
            "take the device out of the domain's file and restart the domain",
            device=device,
        )
    if any(not _backend(entry) for entry in answer.get("vtpm", ())):
        yield Refusal(
            "vtpm-backend",
            "a vTPM of Xen needs a backend domain that serves it, and none is named",
            "name the backend's domain, or use the driver tpm with move: tool",
            device=device,
        )
    if answer.get("usbdev") or answer.get("usbctrl"):
        yield Refusal(
            "usb-device",
            "a USB device of the host cannot be moved",
            "take the device out of the domain's file and restart the domain",
            device=device,
        )


def _backend(entry: Any) -> bool:
    return bool(entry.get("backend")) if isinstance(entry, Mapping) else "backend=" in str(entry)


def of_destination(definition: Definition, here: Facts) -> Sequence[Refusal]:
    """Return every reason at the destination, from the live definition that the source sent."""
    there = Facts.from_json(definition.live)
    found: list[Refusal] = []
    if there.xen and here.series != there.series:
        found.append(
            Refusal(
                "xen-version",
                f"this host runs Xen {here.xen}, the source runs {there.xen}",
                "bring both hosts to the same version of Xen first",
            )
        )
    if missing := here.lacks(there):
        found.append(
            Refusal(
                "cpu-features",
                "the processors here lack what the guest may use since it started there:"
                f" {', '.join(missing)} (word:bit of hw_caps in xl info)",
                "move it to a host with the same processors, or start both Xens with a cpuid= that"
                " hides the difference, and restart the domain",
            )
        )
    kind = definition.live.get("type", "pvh")
    needs = {"pv": "pv", "pvh": "hvm", "hvm": "hvm"}.get(str(kind), "hvm")
    if needs not in here.virtualization:
        found.append(
            Refusal(
                "guest-type",
                f"this host cannot run {kind} guests (virt_caps: {' '.join(here.virtualization)})",
                "enable virtualization in this machine's firmware, or choose another host",
            )
        )
    return found
