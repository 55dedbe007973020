"""The two Xen hosts, booted once for all tests that ask for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from domwarden.testing.require import absent, program

from ..testbeds.guest.packages import BuildError
from ..testbeds.xen.bed import Bed
from ..testbeds.xen.host import QEMU

_bed = pytest.StashKey[Bed]()


@pytest.fixture
def bed(booted_bed: Bed) -> Iterator[Bed]:
    """Both hosts, up and linked; afterwards guests are ended, and a dead host is booted again."""
    yield booted_bed
    asyncio.run(booted_bed.tidy())


@pytest.fixture(scope="session")
def booted_bed(request: pytest.FixtureRequest) -> Iterator[Bed]:
    program("xen", QEMU)
    try:
        made = Bed.prepare()
    except BuildError as error:
        absent("xen", f"the hosts cannot be built: {error}")
    request.config.stash[_bed] = made
    try:
        asyncio.run(made.boot())
        yield made
    finally:
        made.remove()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    """A failed test shows the consoles of the hosts, too."""
    report = yield
    bed = item.config.stash.get(_bed, None)
    if report.failed and bed is not None:
        for host in bed.hosts:
            report.sections.append((f"console of {host.name}", host.tail()))
    return report
