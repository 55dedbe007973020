"""The two Xen hosts, booted once for all tests that ask for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from domwarden.testing.require import absent, program

from ..testbeds.guest.packages import BuildError
from ..testbeds.xen import warm
from ..testbeds.xen.bed import Bed
from ..testbeds.xen.host import QEMU, QEMU_IMG
from .side_by_side import SideBySide, in_order, wants

_bed = pytest.StashKey[Bed]()
_side_by_side = pytest.StashKey[SideBySide]()


@pytest.fixture
def bed(request: pytest.FixtureRequest, booted_bed: Bed) -> Iterator[Bed]:
    """Both hosts, up and linked; afterwards guests are ended, and a dead host is booted again."""
    working = request.config.stash.get(_side_by_side, None)
    if working is not None:
        working.join()
    yield booted_bed
    asyncio.run(booted_bed.tidy())


@pytest.fixture
def host(side_by_side: SideBySide) -> SideBySide:
    """One of the hosts, which the test has for itself; it asks for nothing else."""
    return side_by_side


@pytest.fixture
def shared_host(side_by_side: SideBySide) -> SideBySide:
    """One of the hosts, on which another test runs, too: guests are told apart and ended."""
    return side_by_side


@pytest.fixture(scope="session")
def side_by_side(request: pytest.FixtureRequest, booted_bed: Bed) -> Iterator[SideBySide]:
    working = SideBySide(booted_bed, [item for item in request.session.items if wants(item)])
    request.config.stash[_side_by_side] = working
    yield working
    working.stop()


@pytest.fixture(scope="session")
def booted_bed(request: pytest.FixtureRequest) -> Iterator[Bed]:
    program("xen", QEMU)
    program("xen", QEMU_IMG)
    try:
        made = Bed.prepare()
    except BuildError as error:
        absent("xen", f"the hosts cannot be built: {error}")
    request.config.stash[_bed] = made
    try:
        asyncio.run(_boot(made))
        yield made
    finally:
        made.remove()


async def _boot(bed: Bed) -> None:
    await bed.boot()
    await asyncio.gather(*(warm.start(host) for host in bed.hosts))
    await bed.keep()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that want one host come first, in the order in which they are begun."""
    items[:] = in_order(items)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Wait for a test that one of the hosts works at."""
    wanted = wants(pyfuncitem)
    if wanted is None:
        return None
    told = pyfuncitem.funcargs[wanted].outcome(pyfuncitem)
    pyfuncitem.user_properties.append(("ran", told))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    """A failed test shows the consoles of the hosts, too."""
    report = yield
    bed = item.config.stash.get(_bed, None)
    if report.failed and bed is not None and not wants(item):
        for host in bed.hosts:
            report.sections.append((f"console of {host.name}", host.tail()))
    return report
