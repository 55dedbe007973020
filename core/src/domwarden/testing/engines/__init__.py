"""The engine contract kit: every promise of ``domwarden.contract.Engine``, checked on any engine.

Each check is a coroutine function that takes a *maker*: it is called for a fresh
:class:`EngineBench` as an async context manager.  ``engine_checks(missing=...)`` returns those that
apply; under pytest::

    @pytest.mark.parametrize("check", engine_checks(), ids=lambda check: check.__name__)
    async def test_engine_keeps_its_promises(check):
        await check(make_bench)
"""

from domwarden.testing.engines import life, moves, watchdogs  # they register their checks
from domwarden.testing.engines.bench import (
    BrokenPromiseError,
    Check,
    EngineBench,
    Feature,
    Maker,
    engine_checks,
)

__all__ = [
    "BrokenPromiseError",
    "Check",
    "EngineBench",
    "Feature",
    "Maker",
    "engine_checks",
    "life",
    "moves",
    "watchdogs",
]
