"""Follows the guest's consoles on both hosts the whole time: the witness of every move."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path
from typing import Self

from domwarden.testing.console import Console
from domwarden.testing.evidence import evidence

_COUNT = re.compile(rb"^count (\d+)\n", re.MULTILINE)


class Consoles:
    """One connection to whatever copy of the domain is on a host; an async context manager.

    QEMU writes each host's console to a file too, whoever listens: what both files say together is
    what the guest did, told by nobody who moved it.
    """

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        self._name = name
        self._here: dict[str, Console] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._follow(host), name=f"console/{host}") for host in "ab"
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def on(self, host: str, *, seconds: float) -> Console:
        """Return the console of the copy that is on a host now, or soon."""
        try:
            async with asyncio.timeout(seconds):
                while host not in self._here:  # noqa: ASYNC110 - QEMU tells nobody that it is here
                    await asyncio.sleep(0.02)
        except TimeoutError:
            seen = await asyncio.to_thread(evidence, self._path(host))
            raise TimeoutError(f"no console on {host} within {seconds} s\n{seen}") from None
        return self._here[host]

    def told(self, host: str) -> list[int]:
        """Return every number that the guest's counter ever told on a host, in order.

        A line that was cut in two by the switchover is on neither.
        """
        log = self._root / host / "logs" / f"{self._name}.console.log"
        try:
            return [int(number) for number in _COUNT.findall(log.read_bytes())]
        except FileNotFoundError:
            return []

    def one_story(self, *, moves: int) -> int:
        """See that the counter told each number once and in order; returns the last one.

        Two copies that ran at once would tell the same numbers, one that was set back again; what
        was lost would be missing, but for a line cut in two by each move.
        """
        a, b = self.told("a"), self.told("b")
        for numbers in (a, b):
            assert numbers == sorted(set(numbers))
        assert set(a).isdisjoint(b)
        everything = sorted({*a, *b})
        missing = set(range(1, everything[-1] + 1)) - set(everything)
        assert len(missing) <= moves, missing
        return everything[-1]

    def _path(self, host: str) -> Path:
        return self._root / host / "domains" / self._name / "qemu" / "console"

    async def _follow(self, host: str) -> None:
        while True:
            console = await Console.connect(self._path(host), timeout_seconds=3600)
            self._here[host] = console
            try:
                await console.wait_closed()
            finally:
                del self._here[host]
                with contextlib.suppress(ConnectionError):
                    await console.close()
