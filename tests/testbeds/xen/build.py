#!/usr/bin/env python3
"""Builds the nested Xen host from Debian packages that it downloads but does not install."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

if not __package__:  # run as a script: make the relative imports below work
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    __package__ = "tests.testbeds.xen"

from ..guest.build import build as build_guest
from ..guest.packages import BuildError, kernel_package, require_tools
from ..guest.packages import unpack as unpack_alone
from ..guest.pvh import unpacked_kernel
from .debian import closure, unpack
from .dom0 import PACKAGES, write_disk, write_initramfs

HERE = Path(__file__).resolve().parent
#: What decides about the image, beside the guest that is in it.
SOURCES = (
    *("build.py", "debian.py", "dom0.py", "dom0-init", "initrd-init", "agent.py"),
    *("../guest/cpio.py", "../guest/modules.py", "../guest/packages.py"),
)
#: The kernel twice: unpacked, since the domain builder would spend ten seconds on unpacking it, and
#: as Debian ships it for the device model of HVM guests, which starts no other.
GUEST_KERNEL = "/guest/vmlinux"
GUEST_VMLINUZ = "/guest/vmlinuz"
GUEST_INITRD = "/guest/initrd.gz"


@dataclass(frozen=True)
class Image:
    """What QEMU is given for each host: multiboot kernel, its two modules, the disk."""

    xen: Path
    kernel: Path
    initrd: Path
    disk: Path


def default_cache() -> Path:
    """Return $DOMWARDEN_XEN_CACHE, else ~/.cache/domwarden/xen."""
    return Path(os.environ.get("DOMWARDEN_XEN_CACHE") or "~/.cache/domwarden/xen").expanduser()


def build(out: Path | None = None) -> Image:
    """Return the image of the present sources, built under `out` if it is not there yet.

    Any number of processes may call it at once. Packages once fetched are kept.
    Raises BuildError with one line that says what is missing.
    """
    out = (out or default_cache()).absolute()
    guest = build_guest()
    place = out / _fingerprint(guest.initrd)
    if not place.exists():
        out.mkdir(parents=True, exist_ok=True)
        with (out / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                _build_into(place, out, guest.vmlinuz, guest.initrd)
    return Image(place / "xen", place / "kernel", place / "initrd.gz", place / "disk")


def _fingerprint(guest_initrd: Path) -> str:
    digest = hashlib.sha256(guest_initrd.read_bytes())
    for name in SOURCES:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()[:16]


def _build_into(place: Path, out: Path, guest_vmlinuz: Path, guest_initrd: Path) -> None:
    require_tools("apt-get", "apt-cache", "dpkg", "mke2fs")
    with tempfile.TemporaryDirectory(dir=out, prefix="build-") as name:
        scratch = Path(name)
        tree, kernel, result = scratch / "tree", scratch / "kernel", scratch / "result"
        result.mkdir()
        packages = closure(PACKAGES)
        unpack(packages, out / "packages", tree)
        linux = unpack_alone([kernel_package()], out / "packages", kernel)
        _put_guest(tree, guest_vmlinuz.read_bytes(), guest_initrd.read_bytes())
        try:
            write_initramfs(tree, kernel, result / "initrd.gz")
            write_disk(tree, kernel, result)
        except (KeyError, ValueError) as error:
            raise BuildError(f"a package is not as expected: {error}") from error
        manifest = {"packages": [*(each.file for each in packages), *linux]}
        (result / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        result.rename(place)


def _put_guest(tree: Path, vmlinuz: bytes, initrd: bytes) -> None:
    files = {
        GUEST_KERNEL: unpacked_kernel(vmlinuz),
        GUEST_VMLINUZ: vmlinuz,
        GUEST_INITRD: initrd,
    }
    for name, content in files.items():
        place = tree / name.lstrip("/")
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)


def main() -> int:
    """Build, then print the paths as JSON; one line on standard error when something is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", help="directory (default: the user's cache)")
    try:
        image = build(parser.parse_args().out)
    except (BuildError, OSError) as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    print(json.dumps({key: str(value) for key, value in asdict(image).items()}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
