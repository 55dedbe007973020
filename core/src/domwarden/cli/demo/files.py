"""The files of the demonstration: two hosts, one domain, one disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domwarden.contract import DomwardenError

DISK_BYTES = 32 * 2**20


@dataclasses.dataclass(frozen=True)
class Files:
    """Where the demonstration's files are."""

    host_a: Path
    host_b: Path
    domain: Path


def write(directory: Path, engine: str, boot: Mapping[str, str], timeout: str) -> Files:
    """Write everything into an empty directory; the domain's disk exists on host a only."""
    import yaml

    for host in ("a", "b"):
        (directory / host).mkdir(mode=0o700)
        (directory / host / "images").mkdir()
    with (directory / "a/images/web1.img").open("xb") as disk:
        disk.truncate(DISK_BYTES)
    images = {host: str(directory / host / "images") for host in ("a", "b")}
    for host, peer in (("a", "b"), ("b", "a")):
        description = {
            "host": host,
            "state": host,
            "peers": {peer: {"config": f"{peer}.yaml"}},
            "drivers": {"blk": {"directories": {images[peer]: images[host]}}},
        }
        (directory / f"{host}.yaml").write_text(yaml.safe_dump(description, sort_keys=False))
    domain: dict[str, Any] = {
        "domain": "web1",
        "engine": engine,
        "memory": "256MiB" if engine == "qemu" else "16MiB",
        "vcpus": 1,
        "boot": dict(boot),
        "watchdog": {"driver": "i6300esb", "timeout": timeout, "action": "reset"},
        "devices": {
            "root": {
                "driver": "blk",
                "source": "a/images/web1.img",
                "format": "raw",
                "placement": "mirror",
            },
            "eth0": {"driver": "net", "mode": "user"},
            "tpm0": {"driver": "tpm", "move": "stream"},
        },
        "migration": {"downtime_limit": "300ms", "bandwidth": "10GiB/s", "timeout": "2min"},
    }
    (directory / "web1.yaml").write_text(yaml.safe_dump(domain, sort_keys=False))
    return Files(directory / "a.yaml", directory / "b.yaml", directory / "web1.yaml")


def directory_of(path: Path | None) -> Path:
    """Return an empty directory with a short path: Unix sockets will live in it."""
    import tempfile

    if path is None:
        return Path(tempfile.mkdtemp(prefix="dw-"))
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise DomwardenError(f"{path} is not empty", hint="name a new directory")
    return path.resolve()
