"""Writes an initramfs as a gzip-compressed cpio archive in the kernel's newc format."""

from __future__ import annotations

import gzip
import stat
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Initramfs:
    """Files by their path in the guest; equal contents give equal bytes on every machine.

    Format: Documentation/driver-api/early-userspace/buffer-format.rst of the Linux kernel.
    """

    _entries: dict[str, tuple[int, bytes, tuple[int, int]]] = field(default_factory=dict)

    def add_file(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Adds a regular file, together with the directories above it."""
        self._add(path, stat.S_IFREG | mode, content)

    def add_link(self, path: str, target: str) -> None:
        """Adds a symbolic link, together with the directories above it."""
        self._add(path, stat.S_IFLNK | 0o777, target.encode())

    def add_directory(self, path: str) -> None:
        """Adds an empty directory, together with the directories above it."""
        self._add(path, stat.S_IFDIR | 0o755, b"")

    def add_character_device(self, path: str, major: int, minor: int) -> None:
        """Adds a device node, together with the directories above it."""
        self._add(path, stat.S_IFCHR | 0o600, b"", (major, minor))

    def write(self, target: Path) -> None:
        """Writes the compressed archive.

        Raises OSError when the file cannot be written.
        """
        records = [
            _record(inode, path, mode, content, device)
            for inode, (path, (mode, content, device)) in enumerate(self._entries.items(), 1)
        ]
        records.append(_record(0, "TRAILER!!!", 0, b"", (0, 0)))
        target.write_bytes(gzip.compress(b"".join(records), compresslevel=9, mtime=0))

    def _add(self, path: str, mode: int, content: bytes, device: tuple[int, int] = (0, 0)) -> None:
        for parent in reversed(Path(path).parents[:-1]):
            self._entries.setdefault(str(parent), (stat.S_IFDIR | 0o755, b"", (0, 0)))
        self._entries[path] = (mode, content, device)


def _record(inode: int, path: str, mode: int, content: bytes, device: tuple[int, int]) -> bytes:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (inode, mode, 0, 0, links, 0, len(content), 0, 0, *device, len(name), 0)
    header = b"070701" + b"".join(b"%08x" % value for value in fields)
    return _padded(header + name) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
