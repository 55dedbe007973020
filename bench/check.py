"""Checking many domain files at once."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import yaml

from domwarden.config import check_files

from .report import Report
from .sampling import interleaved, processor_seconds

FILES = 1000

TEMPLATE = """\
domain: web{number}
engine: qemu
memory: {memory}MiB
vcpus: {vcpus}
boot: {{kernel: guest/vmlinuz, initrd: guest/initrd.gz, cmdline: console=ttyS0 quiet}}
watchdog:
  driver: i6300esb               # the card, seen by the guest as /dev/watchdog
  timeout: 30s
  action: reset
  escalate: {{after: 3, within: 10min, action: pause}}
devices:
  root: {{driver: blk, source: images/web{number}.img, format: raw, placement: mirror}}
  data: {{driver: blk, source: images/data{number}.img, format: raw, placement: shared}}
  eth0: {{driver: net, bridge: br0, mac: "52:54:00:12:{high:02x}:{low:02x}"}}
migration: {{downtime_limit: 300ms, bandwidth: 10GiB/s, timeout: 2min}}
"""


def run(*, quick: bool) -> Report:
    """Measure ``check_files`` beside PyYAML's C loader, which only composes the same files."""
    count = 50 if quick else FILES
    with tempfile.TemporaryDirectory() as directory:
        paths = _write(Path(directory), count)
        check_files(paths[:1])  # finds and imports the drivers, once
        begun = time.monotonic()
        ours, theirs = interleaved(
            {
                "check": lambda: processor_seconds(lambda: _check(paths)),
                "yaml": lambda: processor_seconds(lambda: _compose(paths)),
            },
            2 if quick else 6,
        ).values()
        elapsed = time.monotonic() - begun
    report = Report("check", f"{count} domain files, processor time")
    report.add("check_files", "s", ours, peer=("composing", theirs))
    report.add("composing them, PyYAML's C loader", "s", theirs)
    report.notes.append(
        f"each file names three devices and a watchdog of installed drivers; {elapsed:.0f} s in all"
    )
    return report


def _write(directory: Path, count: int) -> list[Path]:
    paths = []
    for number in range(count):
        high, low = divmod(number, 256)
        text = TEMPLATE.format(
            number=number, memory=256 + number % 8 * 64, vcpus=1 + number % 4, high=high, low=low
        )
        paths.append(directory / f"web{number}.yaml")
        paths[-1].write_text(text)
    return paths


def _check(paths: list[Path]) -> None:
    problems = check_files(paths)
    if problems:
        raise RuntimeError(f"{len(problems)} problems, the first: {problems[0]}")


def _compose(paths: list[Path]) -> None:
    for path in paths:
        node = yaml.compose(path.read_text(), Loader=yaml.CSafeLoader)
        if not isinstance(node, yaml.MappingNode) or len(node.value) != 8:
            raise RuntimeError(f"{path} is not what was written")
