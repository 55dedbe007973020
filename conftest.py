"""Test settings common to all distributions."""

import asyncio
import contextlib
import inspect
import os
import selectors
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

ASYNC_LIMIT_SECONDS = 60.0

#: Where a file is memory; a journal syncs there in no time.
MEMORY = Path("/dev/shm")

# Machines that run several suites at once make per-example deadlines a coin toss.
settings.register_profile("domwarden", deadline=None, print_blob=True, max_examples=50)
# `--hypothesis-profile=long`: the long suite asks every property so often.
settings.register_profile("long", settings.get_profile("domwarden"), max_examples=1000)
settings.load_profile("domwarden")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests' files in memory, except those of live tests, whose images want a disk."""
    if "not live" not in config.option.markexpr or not os.access(MEMORY, os.W_OK):
        return
    os.environ.setdefault("TMPDIR", str(MEMORY))
    tempfile.tempdir = None  # it may have been asked for already
    if config.option.basetemp is None:  # pytest-xdist gives its workers parts of ours
        # Pytest's own choice, with a worker's name in it, is too long for the address of a socket.
        config.option.basetemp = tempfile.mkdtemp(prefix="t")
        config.add_cleanup(lambda: _remove_empty(Path(config.option.basetemp)))


def _remove_empty(directory: Path) -> None:
    """Remove a directory but for what failed tests left in it."""
    for folder, _, _ in os.walk(directory, topdown=False):
        with contextlib.suppress(OSError):  # it is not empty
            Path(folder).rmdir()


class _Impatient(selectors.DefaultSelector):
    """Waits for nothing: where no file is ready, the time it should have waited has passed."""

    passed_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select()
        ready = super().select(0)
        if not ready:
            self.passed_seconds += max(timeout, 0.0)
        return ready


class _JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to its next timer, so that a busy machine delays nothing."""

    def __init__(self) -> None:
        self._impatient = _Impatient()
        super().__init__(self._impatient)

    def time(self) -> float:
        return self._impatient.passed_seconds


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test in a loop of its own, bounded in time."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    marker = pyfuncitem.get_closest_marker("time_limit")
    limit_seconds = float(marker.args[0]) if marker else ASYNC_LIMIT_SECONDS
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    async def bounded() -> None:
        async with asyncio.timeout(limit_seconds):
            await pyfuncitem.obj(**arguments)

    jumps = pyfuncitem.get_closest_marker("jumping_clock") is not None
    with asyncio.Runner(loop_factory=_JumpingLoop if jumps else None) as runner:
        runner.run(bounded())
    return True
