"""Whether an accelerator really runs guests here, found by letting it run one."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

#: A firmware that goes from the reset vector through protected mode and paging into long mode
#: (what a Linux guest needs), sums 1 to 20 million, and writes 0x21 to port 0xf4 if that is right.
#: Assembled from::
#:
#:     .code16;  cli;  cld;  xor %ax,%ax;  mov %ax,%ds;  mov %ax,%es
#:     mov $0x1000,%di;  mov $0x1800,%cx;  rep stosw                      # clear the page tables
#:     movl $0x2003,0x1000;  movl $0x3003,0x2000;  movl $0x83,0x3000      # map 2 MiB onto itself
#:     lgdtl %cs:gdtr
#:     mov $0x20,%eax;  mov %eax,%cr4;  mov $0x1000,%eax;  mov %eax,%cr3  # PAE, tables
#:     mov $0xc0000080,%ecx;  rdmsr;  or $0x100,%eax;  wrmsr              # EFER.LME
#:     mov $0x80000001,%eax;  mov %eax,%cr0                               # PG, PE
#:     ljmpl $8,$0xf0000+long
#:     .code64;  long: xor %rax,%rax;  mov $20000000,%ecx
#:     1: add %rcx,%rax;  dec %rcx;  jnz 1b
#:     mov $200000010000000,%rdx;  cmp %rdx,%rax;  jne 2f;  mov $0x21,%al;  out %al,$0xf4
#:     2: hlt;  jmp 2b
#:     .balign 8;  gdt: .quad 0, 0x00209a0000000000;  gdtr: .word 15;  .long 0xf0000+gdt
_CODE = bytes.fromhex(
    "fafc31c08ed88ec0bf0010b90018f3ab66c70600100320000066c7060020"
    "0330000066c7060030830000002e660f0116a00066b8200000000f22e066"
    "b8001000000f22d866b9800000c00f32660d000100000f3066b801000080"
    "0f22c066ea65000f0008004831c0b9002d31014801c848ffc975f848ba80"
    "168d21e6b500004839d07504b021e6f4f4ebfd0f1f440000000000000000"
    "000000000000009a20000f0090000f00"
)
_RESET_VECTOR = 0xFFF0
_JUMP_TO_START = bytes.fromhex("ea000000f0")  # ljmp $0xf000,$0

#: What isa-debug-exit makes of the byte 0x21 as an exit status: (n << 1) | 1.
_PROOF = (0x21 << 1) | 1

#: The least time given to an accelerator; real hardware needs a tenth of it.
LEAST_SECONDS = 1.0
#: Emulation needs a fraction of a second; a loaded machine gets its time.
EMULATION_SECONDS = 60.0


def firmware() -> bytes:
    """Return the 64 KiB firmware image."""
    image = bytearray(b"\xf4" * 65536)  # hlt
    image[: len(_CODE)] = _CODE
    image[_RESET_VECTOR : _RESET_VECTOR + len(_JUMP_TO_START)] = _JUMP_TO_START
    return bytes(image)


async def preferred(binary: str) -> str:
    """Return ``kvm`` where it runs guest code no slower than emulation does now, else ``tcg``.

    /dev/kvm may exist and interpret most instructions (a hypervisor below that has no nesting):
    it then answers simple questions correctly and never boots a guest.
    """
    begun = time.monotonic()
    await accelerates(binary, "tcg", EMULATION_SECONDS)
    emulated_seconds = time.monotonic() - begun
    limit_seconds = max(emulated_seconds, LEAST_SECONDS)
    return "kvm" if await accelerates(binary, "kvm", limit_seconds) else "tcg"


async def accelerates(binary: str, accel: str, timeout_seconds: float) -> bool:
    """Run the firmware under the accelerator; True only if guest code answered from long mode."""
    with tempfile.TemporaryDirectory(prefix="domwarden-") as directory:
        image = Path(directory) / "probe.bin"
        image.write_bytes(firmware())
        options = "-nodefaults -no-user-config -display none -no-reboot"
        options += f" -machine pc,usb=off -accel {accel} -cpu qemu64 -m 16"
        process = await asyncio.create_subprocess_exec(
            binary,
            *options.split(),
            *("-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-bios", str(image)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(timeout_seconds):
                return await process.wait() == _PROOF
        except TimeoutError:
            return False
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
