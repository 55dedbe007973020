"""A guarded domain is supervised as long as it is here, however quickly it comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import yaml

from domwarden.config import load_domain, load_host
from domwarden.warden import Warden

from .house import supervisors, until


async def test_a_domain_that_starts_again_at_once_is_supervised(tmp_path: Path) -> None:
    """The supervisor of its last life may still be about to end."""
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({"host": "a", "state": "a"}))
    domain = {
        "domain": "web1",
        "engine": "embedded",
        "memory": "2MiB",
        "watchdog": {"driver": "i6300esb", "timeout": "30s"},
    }
    (tmp_path / "web1.yaml").write_text(yaml.safe_dump(domain))
    definition = load_domain(tmp_path / "web1.yaml")
    async with Warden(load_host(tmp_path / "a.yaml")) as warden:
        try:
            for _ in range(3):
                await warden.start(definition)
                await asyncio.sleep(1)  # until whatever was about to end has ended, as a rule
                await until(lambda: len(supervisors(tmp_path / "a")) == 1, "one supervises it")
                await warden.stop("web1")
        finally:
            await warden.stop("web1")
    await until(lambda: not supervisors(tmp_path / "a"), "the supervisor ends with its domain")
