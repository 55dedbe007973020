"""A watchdog on the host's clock runs on while its domain stands still: too long is refused."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
import yaml

from domwarden.config import load_domain, load_host
from domwarden.contract import EmbeddedControl, PermanentError, RefusedError, RunState
from domwarden.warden import Warden


@contextlib.asynccontextmanager
async def _started(root: Path, driver: str, downtime_limit: str) -> AsyncIterator[Warden]:
    """Enter host a with an embedded guest that has armed its watchdog."""
    for host, peer in ("ab", "ba"):
        text = {"host": host, "state": host, "peers": {peer: {"config": f"{peer}.yaml"}}}
        (root / f"{host}.yaml").write_text(yaml.safe_dump(text))
    domain = {
        "domain": "web1",
        "engine": "embedded",
        "memory": "2MiB",
        "watchdog": {"driver": driver, "timeout": "30s"},
        "migration": {"downtime_limit": downtime_limit},
    }
    (root / "web1.yaml").write_text(yaml.safe_dump(domain))
    async with Warden(load_host(root / "a.yaml")) as warden:
        try:
            await warden.start(load_domain(root / "web1.yaml"))
            engine = await warden.engine_of("web1")
            control = cast("EmbeddedControl", engine.control("web1", EmbeddedControl))
            await control.command("", "type", {"line": "watchdog start 30"})
            yield warden
        finally:
            for host in "ab":
                async with Warden(load_host(root / f"{host}.yaml")) as one:
                    with contextlib.suppress(PermanentError):
                        await one.stop("web1")


async def test_neither_a_pause_nor_a_long_blackout_is_allowed(tmp_path: Path) -> None:
    """Xen's timer would kill the domain meanwhile."""
    async with _started(tmp_path, "xen_wdt", "20s") as warden:
        for verb in (warden.pause("web1"), warden.migrate("web1", "b")):
            with pytest.raises(RefusedError) as refused:
                await verb
            assert [r.code for r in refused.value.refusals] == ["watchdog-too-short"]
        (status,) = await warden.status("web1")
        assert status.state is RunState.RUNNING


@pytest.mark.parametrize(("driver", "limit"), [("i6300esb", "20s"), ("xen_wdt", "300ms")])
async def test_a_timer_that_bears_it_moves(tmp_path: Path, driver: str, limit: str) -> None:
    """A card's timer stands still with its guest; Xen's bears what is short enough."""
    async with _started(tmp_path, driver, limit) as warden:
        moved = await warden.migrate("web1", "b")
        assert moved.alarms == ()
        async with Warden(load_host(tmp_path / "b.yaml")) as there:
            (status,) = await there.status("web1")
        assert status.state is RunState.RUNNING
        assert status.watchdog is not None
        assert status.watchdog.timeout_seconds == pytest.approx(30, abs=1)
