"""Facts about the machine that a figure means nothing without."""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path


def facts() -> dict[str, str]:
    """Return what was measured on, with what, and when."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{_processor()}, {os.cpu_count()} of them",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "memory": _memory(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "qemu": _qemu(),
        "domwarden": version("domwarden"),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> str:
    kib = int(Path("/proc/meminfo").read_text().split()[1])
    return f"{kib / 2**20:.0f} GiB"


def _qemu() -> str:
    binary = shutil.which("qemu-system-x86_64")
    if binary is None:
        return "absent"
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=20)
    return said.stdout.splitlines()[0] if said.returncode == 0 else "does not start"
