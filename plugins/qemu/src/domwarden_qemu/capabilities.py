"""What the installed QEMU can do on this host, found by running it, remembered until the reboot."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

from domwarden.contract import EngineError, Host

from .acceleration import preferred
from .process import boot_id
from .schema import HostOptions

#: What a domain gets that names no CPU model: the first that the host offers completely.
#: Old enough that most hosts of one cluster share it; a definition may name a better one.
BASELINES = ("Haswell-noTSX", "Nehalem", "qemu64")
_TIMEOUT_SECONDS = 20.0


@dataclasses.dataclass(frozen=True)
class Capabilities:
    """One QEMU binary on one host; all names as QEMU gives them."""

    version: str
    accel: str
    #: Machine type or alias -> versioned machine type.
    machines: dict[str, str]
    #: CPU model or alias -> versioned model, only those that this host offers completely.
    cpus: dict[str, str]
    #: Device drivers that sit in a PCI slot.
    pci: list[str]

    def is_pci(self, driver: str) -> bool:
        """Say whether a ``-device`` of this driver needs a PCI address."""
        return driver in self.pci or f"{driver}-pci" in self.pci

    def machine(self, name: str) -> str:
        """Return the versioned machine type; raises EngineError."""
        if name not in self.machines:
            raise EngineError(
                f"QEMU {self.version} has no machine type {name}",
                hint="pc, q35, or one of qemu-system-x86_64 -machine help",
            )
        return self.machines[name]

    def cpu(self, name: str) -> str:
        """Return the versioned CPU model, for ``auto`` a baseline; raises EngineError."""
        if name in ("host", "max"):
            return name  # it starts, but it is refused when it is to move
        if name == "auto":
            # Emulation knows no faster model, so the smallest one moves best.
            wanted = BASELINES if self.accel == "kvm" else BASELINES[-1:]
            name = next((model for model in wanted if model in self.cpus), wanted[-1])
        if name not in self.cpus:
            raise EngineError(
                f"this host cannot offer a whole {name} processor under {self.accel}",
                hint=f"one of: {', '.join(sorted(self.cpus)[:12])} ...",
            )
        return self.cpus[name]


async def probe(host: Host, options: HostOptions) -> Capabilities:
    """Return what this host can do; raises EngineError when QEMU cannot be run."""
    binary, key = _identity(options)
    cache = host.state_directory / "qemu-capabilities.json"
    if (known := _load(cache, key)) is not None:
        return known
    accel = options.accel
    if accel == "auto":
        accel = await preferred(binary)
    answers = await _ask(binary, accel)
    result = Capabilities(accel=accel, **answers)
    _store(cache, key, result)
    return result


def _identity(options: HostOptions) -> tuple[str, str]:
    """Return the binary's path, with a word that changes when the answers may have changed."""
    found = shutil.which(options.binary)
    if found is None:
        raise EngineError(
            f"{options.binary} is not installed here", hint="apt install qemu-system-x86"
        )
    binary = os.path.realpath(found)
    stamp = Path(binary).stat()
    return binary, f"{binary}:{stamp.st_mtime_ns}:{stamp.st_size}:{boot_id()}:{options.accel}"


def _load(cache: Path, key: str) -> Capabilities | None:
    try:
        data = json.loads(cache.read_text())
        return Capabilities(**data["capabilities"]) if data["key"] == key else None
    except (OSError, ValueError, TypeError, KeyError):
        return None  # a cache that cannot be read is made anew


def _store(cache: Path, key: str, capabilities: Capabilities) -> None:
    partial = cache.with_suffix(f".{os.getpid()}.new")
    with contextlib.suppress(OSError):  # only the next start is slower
        cache.parent.mkdir(parents=True, exist_ok=True)
        data = {"key": key, "capabilities": dataclasses.asdict(capabilities)}
        partial.write_text(json.dumps(data))
        partial.replace(cache)


async def _ask(binary: str, accel: str) -> dict[str, Any]:
    """Ask a QEMU that runs no guest."""
    commands: list[dict[str, Any]] = [
        {"execute": "qmp_capabilities"},
        {"execute": "query-version"},
        {"execute": "query-machines"},
        {"execute": "query-cpu-definitions"},
        {"execute": "qom-list-types", "arguments": {"implements": "pci-device"}},
        {"execute": "quit"},
    ]
    options = f"-nodefaults -no-user-config -display none -m 16 -S -machine pc -accel {accel}"
    process = await asyncio.create_subprocess_exec(
        binary,
        *options.split(),
        *("-qmp", "stdio"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            text = "".join(json.dumps(command) for command in commands)
            output, errors = await process.communicate(text.encode())
    except TimeoutError as error:
        raise EngineError(f"{binary}: no answer in {_TIMEOUT_SECONDS:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    replies = [json.loads(line) for line in output.splitlines()]
    answers = [reply["return"] for reply in replies if "return" in reply]
    if len(answers) != len(commands):
        last = (errors.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        raise EngineError(f"{binary} -accel {accel}: {last}")
    return _read(*answers[1:5])


def _read(version: Any, machines: Any, cpus: Any, types: Any) -> dict[str, Any]:
    number = version["qemu"]
    versioned = {entry["name"]: entry["name"] for entry in machines}
    versioned |= {entry["alias"]: entry["name"] for entry in machines if "alias" in entry}
    return {
        "version": f"{number['major']}.{number['minor']}.{number['micro']}",
        "machines": versioned,
        "cpus": {
            entry["name"]: entry.get("alias-of", entry["name"])
            for entry in cpus
            if not entry.get("unavailable-features")
        },
        "pci": sorted(entry["name"] for entry in types if not entry.get("abstract")),
    }
