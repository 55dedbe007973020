"""Hands an expiry to every device that asked to hear of it."""

from __future__ import annotations

import asyncio
import logging

from domwarden.contract import Domain, DomwardenError, Expiry, Job
from domwarden.plugins import DomainRoom

logger = logging.getLogger(__name__)


class _Said:
    """A job's reports about an expiry go to the log."""

    def report(
        self, message: str = "", *, done: int | None = None, total: int | None = None
    ) -> None:
        """Log it."""
        logger.info("%s", message)


async def tell_devices(room: DomainRoom, domain: Domain, expiry: Expiry) -> None:
    """Run what the devices want done after an expiry, all at once; a failure hurts no other."""
    async with asyncio.TaskGroup() as group:
        for device, answer in room.watchdog_fired(domain, expiry).items():
            if isinstance(answer, Job):
                name = f"{domain.name}/watchdog-fired/{device}"
                group.create_task(_bounded(device, answer), name=name)
            elif isinstance(answer, DomwardenError):
                logger.warning("%s", answer)


async def _bounded(device: str, job: Job) -> None:
    try:
        async with asyncio.timeout(job.timeout_seconds):
            await job.run(_Said())
    except Exception as error:  # noqa: BLE001 - a driver's bug must not end the supervision
        logger.warning("%s: %s failed: %s: %s", device, job.name, type(error).__name__, error)
