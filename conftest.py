"""Test settings common to all distributions."""

import asyncio
import inspect

import pytest
from hypothesis import settings

ASYNC_LIMIT_SECONDS = 60.0

# Machines that run several suites at once make per-example deadlines a coin toss.
settings.register_profile("domwarden", deadline=None, print_blob=True)
settings.load_profile("domwarden")


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
