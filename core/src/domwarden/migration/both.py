"""Two halves of something at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

FirstT = TypeVar("FirstT")
SecondT = TypeVar("SecondT")


async def both(
    first: Coroutine[Any, Any, FirstT], second: Coroutine[Any, Any, SecondT], name: str
) -> tuple[FirstT, SecondT]:
    """Run two halves of a step at once; the first failure cancels the other and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            one = group.create_task(first, name=f"{name}/source")
            two = group.create_task(second, name=f"{name}/destination")
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return one.result(), two.result()
