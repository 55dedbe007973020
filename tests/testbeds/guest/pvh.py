"""Makes one ELF kernel, initramfs included, that starts without unpacking itself."""

from __future__ import annotations

import lzma
import struct

_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_PT_LOAD = 1
_ALIGNMENT = 0x200000


def unpacked_kernel(image: bytes) -> bytes:
    """Return the ELF kernel inside a bzImage; fields: Linux, Documentation/x86/boot.rst.

    Raises ValueError when there is none that is compressed by xz.
    """
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    try:
        return lzma.LZMADecompressor().decompress(image[start : start + length])
    except lzma.LZMAError as error:
        raise ValueError("the vmlinuz does not hold a kernel compressed by xz") from error


def with_initramfs(kernel: bytes, initramfs: bytes) -> tuple[bytes, str]:
    """Append the initramfs as one more segment; return the file and the words that name its place.

    QEMU would do this for -initrd, but for a kernel started through its PVH entry it loads the
    initrd after the firmware put the ACPI tables in place, over them if there is a TPM.
    """
    if kernel[:6] != b"\x7fELF\x02\x01":
        raise ValueError("the kernel is not a 64-bit little-endian ELF file")
    table, count = (
        struct.unpack_from("<Q", kernel, 0x20)[0],
        struct.unpack_from("<H", kernel, 0x38)[0],
    )
    headers = [_PROGRAM_HEADER.unpack_from(kernel, table + 56 * index) for index in range(count)]
    new_at = table + 56 * count
    if any(kernel[new_at : new_at + 56]):
        raise ValueError("no room for one more program header in the kernel")
    end = max(address + size for kind, _, _, _, address, _, size, _ in headers if kind == _PT_LOAD)
    address = -(-end // _ALIGNMENT) * _ALIGNMENT
    size = len(initramfs)
    result = bytearray(kernel)
    result += bytes(-len(result) % 4096)
    struct.pack_into("<H", result, 0x38, count + 1)
    _PROGRAM_HEADER.pack_into(
        result, new_at, _PT_LOAD, 4, len(result), address, address, size, size, 4096
    )
    # The kernel reads initrdmem= only after it began to allocate, so it is kept off the place too.
    reserved = -(-size // 4096) * 4096
    words = f"initrdmem={address:#x},{size:#x} memmap={reserved:#x}${address:#x}"
    return bytes(result + initramfs), words
