"""A guest's use of its TPM over QEMU's qtest protocol, without a guest.

TIS registers: TCG PC Client Platform TPM Profile 1.05, 6.5.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from pathlib import Path

TIS = 0xFED40000
ACCESS, STATUS, FIFO = TIS + 0x00, TIS + 0x18, TIS + 0x24
REQUEST_USE, COMMAND_READY, GO, DATA_AVAILABLE = 0x02, 0x40, 0x20, 0x10

STARTUP_CLEAR = bytes.fromhex("80010000000c000001440000")


class Guest:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def startup(self) -> None:
        assert _code(await self.command(STARTUP_CLEAR)) == 0

    async def extend(self, pcr: int, digest: bytes) -> None:
        """TPM2_PCR_Extend with an empty password, SHA-256."""
        session = struct.pack(">IIHBH", 9, 0x40000009, 0, 0, 0)
        values = struct.pack(">IH", 1, 0x000B) + digest
        body = struct.pack(">I", pcr) + session + values
        head = struct.pack(">HII", 0x8002, 10 + len(body), 0x00000182)
        assert _code(await self.command(head + body)) == 0

    async def pcr(self, pcr: int) -> bytes:
        """TPM2_PCR_Read of one PCR, SHA-256."""
        select = bytearray(3)
        select[pcr // 8] |= 1 << pcr % 8
        body = struct.pack(">IHB", 1, 0x000B, 3) + bytes(select)
        answer = await self.command(struct.pack(">HII", 0x8001, 10 + len(body), 0x17E) + body)
        assert _code(answer) == 0
        return answer[-32:]

    async def command(self, data: bytes) -> bytes:
        await self._write(ACCESS, REQUEST_USE)
        await self._write(STATUS, COMMAND_READY)
        for byte in data:
            await self._write(FIFO, byte)
        await self._write(STATUS, GO)
        answer = bytearray()
        async with asyncio.timeout(10):
            while not await self._read(STATUS) & DATA_AVAILABLE:
                pass  # each question is a round trip through QEMU's main loop
            while await self._read(STATUS) & DATA_AVAILABLE:
                answer.append(await self._read(FIFO))
        await self._write(STATUS, COMMAND_READY)
        return bytes(answer)

    async def _write(self, address: int, value: int) -> None:
        await self._ask(f"writeb {address:#x} {value:#x}")

    async def _read(self, address: int) -> int:
        return int(await self._ask(f"readb {address:#x}"), 16)

    async def _ask(self, line: str) -> str:
        self._writer.write(f"{line}\n".encode())
        while True:
            answer = (await self._reader.readline()).decode()
            assert answer, "qtest ended"
            if answer.startswith("OK"):
                return answer.removeprefix("OK").strip()


def _code(answer: bytes) -> int:
    return int(struct.unpack_from(">I", answer, 6)[0])


@contextlib.asynccontextmanager
async def guest(path: Path) -> AsyncIterator[Guest]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        yield Guest(reader, writer)
    finally:
        writer.close()
