"""The embedded engine keeps its promises with the installed driver in the machine."""

import contextlib

import pytest

from domwarden.contract import Definition, MigrationSettings, WatchdogEntry
from domwarden.testing.embedded import EmbeddedBench
from domwarden.testing.engines import engine_checks

CHECKS = [
    check for check in engine_checks() if "watchdog" in check.__name__ or "move" in check.__name__
]


@pytest.mark.parametrize("clock", ["host", "guest"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_guarded_domain(check, clock, tmp_path):
    definition = Definition(
        "web1",
        "9be5b4e0-0000-4000-8000-000000000001",
        "embedded",
        8 * 2**20,
        watchdog=WatchdogEntry("xen_wdt", options={"clock": clock}),
        migration=MigrationSettings(timeout_seconds=10.0),
    )

    @contextlib.asynccontextmanager
    async def make():
        bench = EmbeddedBench(definition, tmp_path)
        try:
            yield bench
        finally:
            await bench.close()

    await check(make)
