"""What a guest was given to keep, and the proof that it has all of it."""

from __future__ import annotations

import dataclasses
import re

from domwarden.testing.console import Console

from .house import House

DISK = "/dev/vda"
#: The counter's sector is the first; notes lie behind it, one a page of the first MiB.
NOTE_BYTES = 4096
PCR = 16
_COUNTED = re.compile(r"count (\d+)")


@dataclasses.dataclass
class Story:
    """A guest that counts, writes to its disk and measures into its TPM wherever it runs."""

    house: House
    pcr: str = ""
    notes: list[str] = dataclasses.field(default_factory=list)
    moves: int = 0

    async def begin(self, *, watchdog_seconds: int) -> None:
        """Let the guest count on its disk and kick its watchdog."""
        console = await self.house.console("a")
        await console.command(f"watchdog start {watchdog_seconds}")
        await console.command(f"count start {DISK}")
        await console.wait_count(3)

    async def note(self, host: str, words: str) -> None:
        """Give the guest one thing more to keep on its disk and in its TPM."""
        console = await self.house.console(host)
        offset = NOTE_BYTES * (len(self.notes) + 1)
        await console.command(f"write {DISK} {offset} {words}", timeout_seconds=30)
        self.notes.append(words)
        await console.command(f"tpm extend {PCR} {words}", timeout_seconds=30)
        self.pcr = await console.command(f"tpm pcr {PCR}", timeout_seconds=30)

    async def prove(self, host: str) -> None:
        """See on its host, inside the guest and outside, that it lost nothing and counts on.

        Counting on past what was told before shows that it is this copy that runs.
        """
        console = await self.house.console(host)
        told = self.house.consoles.one_story(moves=self.moves)
        await console.wait_count(told + 2, timeout_seconds=30)
        assert self._counted_in_image(host) > told
        assert await self._counted_on_disk(console) > told
        for index, words in enumerate(self.notes):
            offset = NOTE_BYTES * (index + 1)
            read = f"read {DISK} {offset} {len(words)}"
            assert await console.command(read, timeout_seconds=30) == words
            image = self.house.image(host).read_bytes()
            assert image[offset : offset + len(words)] == words.encode()
        assert await console.command(f"tpm pcr {PCR}", timeout_seconds=30) == self.pcr
        self.house.consoles.one_story(moves=self.moves)

    async def _counted_on_disk(self, console: Console) -> int:
        found = _COUNTED.match(await console.command(f"read {DISK} 0 20", timeout_seconds=30))
        assert found is not None
        return int(found[1])

    def _counted_in_image(self, host: str) -> int:
        found = _COUNTED.match(self.house.image(host).read_bytes()[:20].decode())
        assert found is not None
        return int(found[1])
