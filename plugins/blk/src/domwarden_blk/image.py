"""What can be read off an image without starting anything."""

from __future__ import annotations

import dataclasses
import enum
import os
import stat
import struct
from pathlib import Path

from domwarden.contract import PermanentError

_MAGIC = b"QFI\xfb"
#: The first 104 bytes, big-endian: https://www.qemu.org/docs/master/interop/qcow2.html
_HEADER = struct.Struct(">4sIQIIQI")
_BACKING_FORMAT = 0xE2792ACA
_EXTERNAL_DATA = 1 << 2


class Format(enum.StrEnum):
    """How an image holds the disk's blocks; always said, never guessed from the content."""

    RAW = "raw"
    QCOW2 = "qcow2"

    @classmethod
    def of_name(cls, source: str) -> Format:
        """Return what a name ending stands for: ``.qcow2``, anything else is raw."""
        return cls.QCOW2 if Path(source).suffix.lower() == ".qcow2" else cls.RAW


@dataclasses.dataclass(frozen=True)
class Image:
    """One look at an image; ``size_bytes`` is what the guest sees."""

    path: Path
    is_device: bool
    size_bytes: int
    allocated_bytes: int
    device: int
    inode: int
    number: int = 0
    backing: str = ""
    backing_format: str = ""
    encrypted: bool = False
    external_data: bool = False

    @property
    def identity(self) -> str:
        """Name the very file on this machine since its last boot."""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}:{self.device}:{self.inode}"


def look(path: Path, image_format: Format, *, said: bool = True) -> Image:
    """Read an image's facts; blocks, so call it in a thread.

    ``said`` tells that the domain's file names the format.  Raises PermanentError for an image that
    is not there, is no image, or contradicts its format.
    """
    try:
        with path.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            end = os.lseek(file.fileno(), 0, os.SEEK_END)
            head = os.pread(file.fileno(), 4096, 0)
    except OSError as error:
        raise PermanentError(f"cannot read the image {path}: {error.strerror}") from error
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISBLK(status.st_mode)):
        raise PermanentError(f"{path} is neither a file nor a block device")
    plain = Image(
        path=path,
        is_device=stat.S_ISBLK(status.st_mode),
        size_bytes=end,
        allocated_bytes=min(status.st_blocks * 512, end) if stat.S_ISREG(status.st_mode) else end,
        device=status.st_dev,
        inode=status.st_ino,
        number=status.st_rdev,
    )
    if image_format is Format.QCOW2:
        return _qcow2(plain, head)
    if head.startswith(_MAGIC) and not said:
        raise PermanentError(
            f"{path} holds a qcow2 image, but nothing says so",
            hint="write format: qcow2, or format: raw if the guest shall see these very bytes",
        )
    if end % 512:
        raise PermanentError(f"{path} is {end} bytes long, which is not a multiple of 512")
    return plain


def _qcow2(plain: Image, head: bytes) -> Image:
    if len(head) < 104 or not head.startswith(_MAGIC):
        raise PermanentError(f"{plain.path} is not a qcow2 image", hint="write format: raw?")
    _, version, name_at, name_bytes, _, size_bytes, encryption = _HEADER.unpack_from(head)
    features, header_bytes = 0, 72
    if version >= 3:
        (features,) = struct.unpack_from(">Q", head, 72)
        (header_bytes,) = struct.unpack_from(">I", head, 100)
    backing = head[name_at : name_at + name_bytes].decode(errors="replace") if name_at else ""
    return dataclasses.replace(
        plain,
        size_bytes=size_bytes,
        backing=backing,
        backing_format=_extension(head, header_bytes, _BACKING_FORMAT).decode(errors="replace"),
        encrypted=encryption != 0,
        external_data=bool(features & _EXTERNAL_DATA),
    )


def _extension(head: bytes, at: int, wanted: int) -> bytes:
    """Return a header extension's content, or nothing."""
    while at + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, at)
        if kind == wanted:
            return head[at + 8 : at + 8 + length]
        if kind == 0:
            break
        at += 8 + (length + 7) // 8 * 8
    return b""
