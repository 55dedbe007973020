"""The mirror's source end on QEMU: a blockdev-mirror job onto the destination's NBD export."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from domwarden.contract import Domain, EngineError, JobContext, OutcomeUnknownError, QemuControl
from domwarden.contract.qemu_tls import qemu_connects
from domwarden_blk.digest import digests_of
from domwarden_blk.ends import SocketAddress
from domwarden_blk.qemu_events import Wakeups, wakeups, within
from domwarden_blk.qemu_exports import QemuExport
from domwarden_blk.travel import secured

_EVENTS = ("BLOCK_JOB_READY", "BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED", "BLOCK_JOB_ERROR")
_POLL_SECONDS = 0.25
_CONVERGE_SECONDS = 60.0
_UNDO_SECONDS = 30.0
_CUT_SECONDS = 2.0
#: What a Unix socket's buffer takes at once (net.core.wmem_default: 208 KiB) even if nobody reads.
#: A write that waits for room in it is not woken by a yank: QEMU 7.2 polls a writer for POLLOUT and
#: POLLERR, and the kernel reports a socket that was shut down while it is full as POLLHUP only.
_UNIX_BYTES = 128 * 1024
#: ``running`` turns into ``ready`` when only late writes are missing; what failed is ``concluded``.
_READY = frozenset({"ready", "standby"})
_ENDING = frozenset({"waiting", "pending", "concluded"})


class QemuSource:
    """One disk's mirror job.

    The job is kept when it ends (``auto-dismiss`` off), so that its outcome can be asked for again
    after a lost event or a restarted driver.
    https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html#block-devices
    """

    def __init__(self, domain: Domain, control: QemuControl) -> None:
        self._control = control
        self._domain = domain
        self._device = domain.device
        self._job = f"{domain.device}-mirror"
        self._target = f"{domain.device}-target"
        self._speed = domain.definition.migration.bandwidth_bytes_per_second
        self._export = QemuExport(domain, control)

    async def copy(self, address: SocketAddress, context: JobContext) -> None:
        """Start the job and return once it is ready; raises EngineError when it fails."""
        if await self._state() is None:
            await self._begin(address)
        reported = -1
        async with self._listen() as events:
            while True:
                job = await self._state()
                if job is None or job["status"] == "concluded":
                    raise self._failed(job)
                if job["current-progress"] != reported:
                    reported = job["current-progress"]
                    context.report("mirroring", done=reported, total=job["total-progress"])
                if job["status"] in _READY:
                    return
                await events.wait(_POLL_SECONDS)

    async def settle(self, address: SocketAddress, _context: JobContext) -> None:
        """Ask the ready job to end: it writes what is missing, then completes without a pivot."""
        del address
        if _settled(job := await self._state()):
            return  # an earlier call did it
        if job is None or job["status"] not in _READY:
            raise self._failed(job)
        try:
            await self._control.execute("block-job-cancel", {"device": self._job})
        except OutcomeUnknownError:
            raise
        except EngineError:
            # An earlier call's cancellation took effect between the question and the command.
            if not _settled(await self._state()):
                raise

    async def settled(self) -> None:
        """Return once the job completed without an error and the target's node is gone.

        The ended job stays, so that this can be asked again; it goes with the process or in undo.
        """
        late = f"the last writes of disk {self._device} did not arrive"
        async with within(_CONVERGE_SECONDS, late), self._listen() as events:
            job = await self._ended(events)
        if job is None or job.get("error") or job["current-progress"] != job["total-progress"]:
            raise self._failed(job)
        await self._drop_target()

    async def digests(self, context: JobContext) -> list[str]:
        """Read the suspended guest's disk through QEMU itself, whatever its format."""
        await self._export.add(writable=False)
        found = await digests_of(await self._export.door.address(), self._device, context)
        await self._export.remove()
        return found

    async def undo(self) -> None:
        """End the job, even against a target that does not answer, and remove what it needed."""
        try:
            await self._export.remove()
        finally:  # an export that stays must not keep the job on its disk
            if await self._state() is not None:
                await self._give_up()
            await self._drop_target()

    async def _begin(self, address: SocketAddress) -> None:
        if self._target not in await self._nodes():
            await self._control.execute(
                "blockdev-add",
                {
                    "driver": "nbd",
                    "node-name": self._target,
                    "server": {key: value for key, value in address.items() if key != "stream"},
                    "export": self._device,
                    **await self._credentials(address),
                },
            )
        await self._control.execute(
            "blockdev-mirror",
            {
                "job-id": self._job,
                "device": self._device,
                "target": self._target,
                "sync": "full",
                "speed": self._speed,
                "on-source-error": "report",
                "on-target-error": "report",
                "auto-dismiss": False,
                **({"buf-size": _UNIX_BYTES} if address.get("type") == "unix" else {}),
            },
        )

    async def _credentials(self, address: SocketAddress) -> Mapping[str, str]:
        way = secured(self._domain, address)
        if way is None:
            return {}
        name = f"{self._device}-tls"
        return await qemu_connects(self._control.execute, way.host, name, way.peer)

    async def _give_up(self) -> None:
        stuck = f"the mirror of disk {self._device} did not end"
        async with within(_UNDO_SECONDS, stuck), self._listen() as events:
            while True:
                with contextlib.suppress(EngineError):
                    # Refused when the job just ended by itself.
                    by_force = {"device": self._job, "force": True}
                    await self._control.execute("block-job-cancel", by_force)
                # Its requests to a target that hangs never end by themselves.
                await self._yank()
                try:
                    async with asyncio.timeout(_CUT_SECONDS):
                        await self._ended(events)
                    break
                except TimeoutError:
                    continue  # a request may have found its way to the target since
        await self._control.execute("job-dismiss", {"id": self._job})

    async def _drop_target(self) -> None:
        """Remove the target's node; idempotent."""
        if self._target not in await self._nodes():
            return
        await self._yank()
        await self._control.execute("blockdev-del", {"node-name": self._target})

    async def _yank(self) -> None:
        """Cut the connection to the target.

        A polite goodbye to a target that hangs would stop QEMU's main loop, and the guest with it;
        whatever mattered was flushed before the job completed.
        """
        instance = {"type": "block-node", "node-name": self._target}
        try:
            await self._control.execute("yank", {"instances": [instance]})
        except OutcomeUnknownError:
            raise
        except EngineError:
            pass  # there is no such node

    def _listen(self) -> AbstractAsyncContextManager[Wakeups]:
        return wakeups(self._control, f"blk/{self._job}", *_EVENTS)

    async def _ended(self, events: Wakeups) -> dict[str, Any] | None:
        while (job := await self._state()) is not None and job["status"] != "concluded":
            await events.wait(_POLL_SECONDS)
        return job

    async def _state(self) -> dict[str, Any] | None:
        jobs = await self._control.execute("query-jobs")
        return next((job for job in jobs if job["id"] == self._job), None)

    async def _nodes(self) -> set[str]:
        nodes = await self._control.execute("query-named-block-nodes", {"flat": True})
        return {node["node-name"] for node in nodes}

    def _failed(self, job: dict[str, Any] | None) -> EngineError:
        if job is None:
            return OutcomeUnknownError(
                f"QEMU has no mirror job for disk {self._device}", command="query-jobs"
            )
        what = job.get("error") or f"{job['current-progress']} of {job['total-progress']} bytes"
        return EngineError(
            f"the mirror of disk {self._device} ended in state {job['status']}: {what}",
            command="blockdev-mirror",
            hint="a mirror that failed is started anew: migrate again",
        )


def _settled(job: dict[str, Any] | None) -> bool:
    return job is not None and job["status"] in _ENDING and not job.get("error")
