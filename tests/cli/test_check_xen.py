"""What Xen could not start is told by ``domwarden check``, on a machine that has no Xen."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from domwarden.cli.check import command

HEAD = "domain: web1\nengine: xen\nmemory: 128MiB\n"
KERNEL = "boot: {kernel: vmlinux}\n"


def checked(directory: Path, text: str) -> list[str]:
    """Return the lines that the verb prints, without the directory."""
    file = directory / "web1.yaml"
    file.write_text(text)
    answer = CliRunner().invoke(command, [str(file)])
    if answer.exit_code == 0:
        return []  # what is said then goes to the standard error, which old clicks mix in here
    lines = answer.stdout.replace(f"{directory}/", "").splitlines()
    assert lines
    return lines


def guarded(kind: str, driver: str, more: str = "") -> str:
    return f"{HEAD}{KERNEL}type: {kind}\nwatchdog: {{driver: {driver}{more}}}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        *(
            (
                guarded("pv", "xen_wdt", f", action: {action}"),
                "6:37: watchdog.action: a pv guest whose watchdog expired cannot go on, so"
                f" {action} is impossible: use reset, poweroff or dump, or type: pvh",
            )
            for action in ("pause", "nmi", "shutdown", "notify")
        ),
        *(
            (
                guarded(kind, card),
                f"6:20: watchdog.driver: a {kind} guest of xen has no emulated cards, so no {card}:"
                " type: hvm, or the watchdog xen_wdt",
            )
            for kind in ("pvh", "pv")
            for card in ("i6300esb", "ib700")
        ),
        *(
            (
                guarded("hvm", "i6300esb", f", action: {action}"),
                f"6:38: watchdog.action: the i6300esb of an hvm guest of xen cannot do {action}:"
                " use notify, poweroff, reset, or the watchdog xen_wdt",
            )
            for action in ("pause", "dump", "nmi", "shutdown")
        ),
        (
            guarded("pvh", "xen_wdt", ", clock: guest"),
            "6:36: watchdog.clock: Xen's timers run on in a stopped domain, clock: guest is not"
            " theirs: remove `clock`, or use an emulated card: type: hvm with i6300esb",
        ),
        (HEAD, "1:1: boot.kernel: a pvh guest has no firmware, so it needs boot.kernel"),
        (
            f"{HEAD}{KERNEL}stub_domain: true\n",
            "5:14: stub_domain: a pvh guest has no device model that a domain of its own could run",
        ),
        (
            HEAD.replace("128MiB", "1536KiB") + KERNEL,
            "3:9: memory: Xen gives memory in whole MiB, not 1572864 bytes",
        ),
        (
            f'{HEAD}{KERNEL}devices: {{card: {{driver: pci, host: "0000:03:00.0"}}}}\n',
            "5:26: devices.card.driver: a pvh guest of xen cannot have PCI devices of the host",
        ),
        (
            f"{HEAD}{KERNEL}type: pv\ndevices: {{card: {{driver: pci, model: nvme}}}}\n",
            "6:38: devices.card.model: xen has no emulated PCI devices: host: ADDRESS",
        ),
    ],
)
def test_what_xen_cannot_start_is_a_problem_of_the_file(
    tmp_path: Path, text: str, problem: str
) -> None:
    """With the place, the key, the reason, and what to write instead."""
    (line,) = checked(tmp_path, text)
    assert line.startswith(f"web1.yaml:{problem}")


@pytest.mark.parametrize(
    "text",
    [
        guarded("pv", "xen_wdt", ", action: dump"),
        guarded("pv", "xen_wdt", ", escalate: {after: 2, within: 1h, action: pause}"),
        guarded("hvm", "i6300esb", ", action: poweroff"),
        guarded("pvh", "xen_wdt", ", action: pause, clock: host"),
        f"{HEAD}type: hvm\nstub_domain: true\n",
        HEAD.replace("xen", "embedded") + "watchdog: {driver: xen_wdt, clock: guest}\n",
        HEAD.replace("xen", "embedded") + "watchdog: {driver: i6300esb, action: dump}\n",
    ],
)
def test_what_xen_or_another_engine_can_start_is_in_order(tmp_path: Path, text: str) -> None:
    """The rules are Xen's, and no wider than it."""
    assert checked(tmp_path, text) == []
