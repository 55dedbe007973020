"""Test settings common to all distributions."""

import asyncio
import inspect
import os
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


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests' files in memory, except those of live tests, whose images want a disk."""
    if "not live" in config.option.markexpr and os.access(MEMORY, os.W_OK):
        os.environ.setdefault("TMPDIR", str(MEMORY))
        tempfile.tempdir = None  # it may have been asked for already


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

    asyncio.run(bounded())
    return True
