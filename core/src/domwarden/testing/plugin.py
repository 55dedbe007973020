"""The pytest plugin of ``domwarden.testing``: the kits as fixtures.

It is found by its entry point.  Nothing of domwarden is imported before a test asks for it.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from domwarden.testing.world import MoveWorld

#: How long a coroutine test that uses a fixture of this plugin may take.
LIMIT_SECONDS = 60.0


@pytest.fixture
def move_world(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[MoveWorld]]:
    """Return ``domwarden.testing.world.move_world`` in a directory of its own for each world.

    ``async with move_world({"cad": Device(...)}) as world: ...``
    """
    from domwarden.testing.world import move_world as make

    numbers = iter(range(1, 1000))

    @functools.wraps(make)
    def in_new_directory(*arguments: object, **named: object) -> object:
        directory = tmp_path / f"world-{next(numbers)}"
        directory.mkdir()
        return make(directory, *arguments, **named)  # type: ignore[arg-type]  # the signature is make's

    return in_new_directory  # type: ignore[return-value]  # as above


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test that uses :func:`move_world`, unless another plugin runs it.

    So that an author's tests need no plugin for asyncio beside this one.
    """
    if "move_world" not in pyfuncitem.fixturenames:
        return None
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    parameters = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in parameters}

    async def bounded() -> None:
        async with asyncio.timeout(LIMIT_SECONDS):
            await pyfuncitem.obj(**arguments)

    asyncio.run(bounded())
    return True
