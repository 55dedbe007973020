"""The embedded engine keeps every promise of the contract."""

import contextlib

import pytest

from domwarden.testing.engines import engine_checks

from .helpers import make_bench


@pytest.mark.parametrize("check", engine_checks(), ids=lambda check: check.__name__)
async def test_embedded_engine_keeps_the_promise(check, tmp_path):
    @contextlib.asynccontextmanager
    async def make():
        bench = make_bench(tmp_path)
        bench.directory = tmp_path
        try:
            yield bench
        finally:
            await bench.close()

    await check(make)
