#!/usr/bin/env python3
"""Builds the test guest from Debian packages that it downloads but does not install."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

if not __package__:  # run as a script: make the relative imports below work
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    __package__ = "guest"

from .cpio import Initramfs
from .modules import Layout, closure, layout, modules_dep
from .packages import BuildError, kernel_package, require_tools, run, unpack
from .pvh import unpacked_kernel, with_initramfs

HERE = Path(__file__).resolve().parent
#: What the kernel wants on its command line, whichever file it is started from. Its check of the
#: timer's interrupt counts ticks within a busy loop: where the emulated processor is not given its
#: turn, as on a loaded host, none comes in time and the kernel panics.
CMDLINE = (
    "console=ttyS0 quiet panic=0 mitigations=off cryptomgr.notests random.trust_cpu=on"
    " no_timer_check"
)
MODULES = [
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtio_console",
    "virtio_rng",
    "9p",
    "9pnet_virtio",
    "xhci_pci",
    "i6300esb",
    "ib700wdt",
    "xen_wdt",
    "xen_privcmd",
    "xen_blkfront",
    "xen_netfront",
    "msr",
]


@dataclass(frozen=True)
class Guest:
    """Where the parts of the built guest lie.

    QEMU starts `kernel`, which has the initramfs in it, with `cmdline` and without an initrd.
    That saves the five seconds that `vmlinuz`, the same kernel as Debian ships it, spends under
    TCG on unpacking itself. `vmlinuz` with `initrd` and CMDLINE is for everything else.
    """

    kernel: Path
    cmdline: str
    vmlinuz: Path
    initrd: Path


def default_cache() -> Path:
    """Return $DOMWARDEN_GUEST_CACHE, else ~/.cache/domwarden/guest."""
    return Path(os.environ.get("DOMWARDEN_GUEST_CACHE") or "~/.cache/domwarden/guest").expanduser()


def build(out: Path | None = None) -> Guest:
    """Return the guest of the present sources, built under `out` if it is not there yet.

    Any number of processes may call it at once. A kernel once fetched is kept: delete the
    directory for a newer one. Raises BuildError with one line that says what is missing.
    """
    out = (out or default_cache()).absolute()
    place = out / _fingerprint()
    if not place.exists():
        out.mkdir(parents=True, exist_ok=True)
        with (out / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                _build_into(place, out)
    cmdline = json.loads((place / "manifest.json").read_text())["cmdline"]
    return Guest(place / "kernel", cmdline, place / "vmlinuz", place / "initrd.gz")


def _fingerprint() -> str:
    digest = hashlib.sha256()
    scripts = ("build.py", "cpio.py", "modules.py", "packages.py", "pvh.py", "init", "udhcpc")
    for source in [*sorted(HERE.glob("src/*.[ch]")), *(HERE / name for name in scripts)]:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _build_into(place: Path, out: Path) -> None:
    require_tools("apt-get", "apt-cache", "dpkg", "gcc")
    with tempfile.TemporaryDirectory(dir=out, prefix="build-") as scratch:
        tree, result = Path(scratch, "tree"), Path(scratch, "result")
        result.mkdir()
        names = unpack([kernel_package(), "busybox-static"], out / "packages", tree)
        (vmlinuz,) = tree.glob("boot/vmlinuz-*")
        shutil.copyfile(vmlinuz, result / "vmlinuz")
        try:
            _write_initramfs(tree, Path(scratch), result / "initrd.gz")
            kernel, word = with_initramfs(
                unpacked_kernel(vmlinuz.read_bytes()), (result / "initrd.gz").read_bytes()
            )
        except (KeyError, ValueError) as error:
            raise BuildError(f"{names[0]} is not as expected: {error}") from error
        (result / "kernel").write_bytes(kernel)
        manifest = {"packages": names, "cmdline": f"{CMDLINE} {word}"}
        (result / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        result.rename(place)


def _write_initramfs(tree: Path, scratch: Path, target: Path) -> None:
    (module_root,) = tree.glob("lib/modules/*")
    modules = closure(module_root / "kernel", MODULES)
    archive = Initramfs()
    for directory in ("proc", "sys", "dev", "mnt", "tmp"):
        archive.add_directory(directory)
    archive.add_character_device("dev/console", 5, 1)
    archive.add_file("init", (HERE / "init").read_bytes(), mode=0o755)
    archive.add_file("etc/udhcpc", (HERE / "udhcpc").read_bytes(), mode=0o755)
    archive.add_file("bin/busybox", (tree / "bin/busybox").read_bytes(), mode=0o755)
    archive.add_file("bin/guest", _compile_shell(scratch), mode=0o755)
    sample = next(module for module in modules if module.name == "i6300esb")
    archive.add_file("lib/hang.ko", _compile_hang(scratch, layout(sample)))
    home = f"lib/modules/{module_root.name}"
    for module in modules:
        archive.add_file(f"{home}/{module.name}.ko", module.content)
    archive.add_file(f"{home}/modules.dep", modules_dep(modules).encode())
    archive.write(target)


def _compile_shell(scratch: Path) -> bytes:
    sources = sorted(str(path) for path in HERE.glob("src/*.c") if path.name != "hang_module.c")
    options = ["-static", "-Os", "-s", "-Wall", "-Wextra", "-Werror"]
    run("gcc", *options, "-o", str(scratch / "guest"), *sources)
    return (scratch / "guest").read_bytes()


def _compile_hang(scratch: Path, kernel: Layout) -> bytes:
    """Compile hang.ko without kernel headers: `kernel` has all it must know."""
    options = [
        "-c",
        "-Os",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-ffreestanding",
        "-mcmodel=kernel",
        "-fno-pic",
        "-mno-red-zone",
        "-mno-sse",
        "-fno-stack-protector",
        "-fcf-protection=none",
        "-fno-asynchronous-unwind-tables",
    ]
    run(
        "gcc",
        *options,
        f'-DVERMAGIC="{kernel.vermagic}"',
        f"-DLAYOUT_CRC={kernel.layout_crc:#x}",
        f"-DMODULE_BYTES={kernel.module_bytes}",
        f"-DNAME_OFFSET={kernel.name_offset}",
        f"-DINIT_OFFSET={kernel.init_offset}",
        "-o",
        str(scratch / "hang.ko"),
        str(HERE / "src/hang_module.c"),
    )
    return (scratch / "hang.ko").read_bytes()


def main() -> int:
    """Build, then print the paths as JSON; one line on standard error when something is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", help="directory (default: the user's cache)")
    try:
        guest = build(parser.parse_args().out)
    except (BuildError, OSError) as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    print(json.dumps({key: str(value) for key, value in vars(guest).items()}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
