"""Makes the disk and the initramfs of dom0 out of unpacked packages."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

from ..guest.cpio import Initramfs
from ..guest.modules import Module, closure, modules_dep
from ..guest.packages import BuildError, run
from ..guest.pvh import unpacked_kernel

HERE = Path(__file__).resolve().parent
XEN = "4.17"
PACKAGES = [
    *(f"xen-hypervisor-{XEN}-amd64", f"xen-utils-{XEN}", f"libxenmisc{XEN}", "xenstore-utils"),
    *("python3-minimal", "libpython3.11-stdlib"),
    *("busybox-static", "bash-static", "kmod", "iproute2", "socat"),
    # busybox has some of these; Xen's hotplug scripts read what the real ones print
    *("util-linux", "mount"),
    "qemu-system-xen",  # the device model of HVM guests
]
#: Modules that mount the disk; modprobe in dom0 finds the others on it.
FIRST_MODULES = ["crc32c_generic", "virtio_pci", "virtio_blk", "ext4"]
MODULES = [
    *FIRST_MODULES,
    *("xen_privcmd", "xen_evtchn", "xen_gntdev", "xen_gntalloc", "xenfs", "xen_acpi_processor"),
    *("xen_pciback", "xen_netback", "xen_blkback", "xen_wdt", "softdog"),
    *("virtio_net", "virtio_rng", "virtio_console", "bridge", "tun", "loop", "dm_snapshot"),
    *("9p", "9pnet_virtio"),
]
#: Gone before the disk is made: nothing here runs without them.
PRUNED = [
    *("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/i18n"),
    *("usr/share/lintian", "usr/share/bash-completion", "usr/share/zoneinfo", "usr/share/bug"),
    *("usr/share/iso-codes", "usr/share/icons", "usr/share/applications"),
    *("usr/share/perl5", "usr/lib/x86_64-linux-gnu/gconv", "usr/lib/x86_64-linux-gnu/perl-base"),
    *("lib/udev", "lib/systemd", "usr/lib/systemd", "usr/lib/dpkg", "usr/lib/apt"),
    *("var/lib/dpkg", "var/cache", "boot", "etc/fstab"),
    *("usr/lib/xen-4.17/boot/xen-shim", "usr/lib/python3.11/lib2to3"),
    *("usr/lib/python3.11/pydoc_data", "usr/lib/python3.11/idlelib"),
]
DISK_BYTES = 4 << 30
#: Where our own packages and their libraries are unpacked to; Python finds them there.
LIBRARY = "/opt/domwarden"
_COMMAND = """\
#!/usr/bin/python3
import sys

from domwarden.cli import main

sys.exit(main())
"""


def write_initramfs(tree: Path, kernel: Path, target: Path) -> None:
    """Write the initramfs that mounts the disk.

    Raises KeyError when the kernel lacks a module that this needs.
    """
    (module_root,) = kernel.glob("lib/modules/*")
    archive = Initramfs()
    for directory in ("dev", "proc", "root"):
        archive.add_directory(directory)
    archive.add_character_device("dev/console", 5, 1)
    archive.add_file("init", (HERE / "initrd-init").read_bytes(), mode=0o755)
    archive.add_file("bin/busybox", (tree / "bin/busybox").read_bytes(), mode=0o755)
    modules = closure(module_root / "kernel", FIRST_MODULES)
    for position, module in enumerate(_in_load_order(modules)):
        archive.add_file(f"m/{position:02}-{module.name}.ko", module.content)
    archive.write(target)


def write_disk(tree: Path, kernel: Path, result: Path) -> None:
    """Write Xen, dom0's kernel and its disk into `result`; `tree` becomes the disk's content.

    Raises BuildError when a tool fails, KeyError when the kernel lacks a module.
    """
    (result / "xen").write_bytes(gzip.decompress((tree / f"boot/xen-{XEN}-amd64.gz").read_bytes()))
    (vmlinuz,) = kernel.glob("boot/vmlinuz-*")
    (result / "kernel").write_bytes(unpacked_kernel(vmlinuz.read_bytes()))
    for name in PRUNED:
        place = tree / name
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    _link_runtime_directories(tree)
    _lay_in_modules(tree, kernel)
    _compile(tree)
    with (result / "disk").open("wb") as disk:
        disk.truncate(DISK_BYTES)
    features = "^has_journal,^metadata_csum"
    run(
        *("mke2fs", "-q", "-t", "ext4", "-O", features, "-m", "0"),
        *("-E", "root_owner=0:0,lazy_itable_init=1", "-d", str(tree), str(result / "disk")),
    )


def _link_runtime_directories(tree: Path) -> None:
    for name in ("proc", "sys", "dev", "run", "tmp", "root", "guest", "opt", "shared"):
        (tree / name).mkdir(exist_ok=True)
    for name in ("var/log/xen/console", "var/lib/xen", "var/lib/xenstored"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    for name in ("run", "lock"):
        link = tree / "var" / name
        if link.is_dir() and not link.is_symlink():
            shutil.rmtree(link)
        link.unlink(missing_ok=True)
        link.symlink_to("/run" if name == "run" else "/run/lock")
    # A page table costs much here, so a shell with shared libraries starts three times as slowly.
    for shell, static in (("bash", "bash-static"), ("sh", "busybox")):
        (tree / "bin" / shell).unlink(missing_ok=True)
        (tree / "bin" / shell).symlink_to(static)
    # Debian's own is a script that looks for the Xen that runs.
    (tree / "usr/local/sbin").mkdir(parents=True, exist_ok=True)
    (tree / "usr/local/sbin/xl").symlink_to(f"/usr/lib/xen-{XEN}/bin/xl")
    (tree / "etc/passwd").write_text("root::0:0:root:/root:/bin/sh\n")
    (tree / "etc/group").write_text("root:x:0:\n")
    (tree / "etc/hosts").write_text("127.0.0.1 localhost\n192.168.77.1 m1\n192.168.77.2 m2\n")
    _write_program(tree / "init", (HERE / "dom0-init").read_text())
    _write_program(tree / "usr/local/bin/domwarden", _COMMAND)
    _write_program(tree / "usr/local/lib/agent.py", (HERE / "agent.py").read_text())
    packages = tree / "usr/lib/python3/dist-packages"
    packages.mkdir(parents=True, exist_ok=True)
    (packages / "domwarden.pth").write_text(f"{LIBRARY}\n")


def _write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def _lay_in_modules(tree: Path, kernel: Path) -> None:
    (module_root,) = kernel.glob("lib/modules/*")
    target = tree / "lib/modules" / module_root.name
    (target / "kernel").mkdir(parents=True)
    for module in closure(module_root / "kernel", MODULES):
        (target / "kernel" / f"{module.name}.ko").write_bytes(module.content)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copyfile(module_root / name, target / name)
    _run_inside(tree, "bin/kmod", "-b", str(tree), module_root.name, name="depmod")


def _compile(tree: Path) -> None:
    """Compile Python's library with the Python that will run it: emulated, it would take long."""
    _run_inside(
        tree,
        "usr/bin/python3.11",
        *("-S", "-m", "compileall", "-q", "-j", "2", "--invalidation-mode", "unchecked-hash"),
        *("-s", str(tree), "-p", "/", str(tree / "usr/lib/python3.11")),
        *(str(tree / "usr/local/lib"),),
        name="python3",
    )


def _run_inside(tree: Path, program: str, *arguments: str, name: str) -> None:
    """Run a program of the tree with the tree's own libraries: works on any x86-64 Linux."""
    libraries = ":".join(str(tree / part / "x86_64-linux-gnu") for part in ("lib", "usr/lib"))
    loader = tree / "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    if not loader.exists():
        raise BuildError("libc6 of the image has no loader where Debian 12 has it")
    run(
        *("env", f"PYTHONHOME={tree / 'usr'}", str(loader), "--argv0", name),
        *("--library-path", libraries, str(tree / program), *arguments),
    )


def _in_load_order(modules: list[Module]) -> list[Module]:
    by_name = {module.name: module for module in modules}
    lines = (line.replace(".ko", "").partition(":") for line in modules_dep(modules).splitlines())
    ordered: dict[str, None] = {}
    for name, _, needs in lines:
        ordered.update(dict.fromkeys([*reversed(needs.split()), name]))
    return [by_name[name] for name in ordered]
