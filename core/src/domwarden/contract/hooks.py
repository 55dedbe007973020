"""Every hook a driver may implement, as prose.

A driver implements only the hooks it needs, as plain functions marked with ``hookimpl``; a hook
decides without I/O and returns work as a :class:`~domwarden.contract.jobs.Job`.  ``async def`` and
wrappers are refused when the driver is registered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pluggy

from domwarden.contract.domain import Domain
from domwarden.contract.jobs import Job
from domwarden.contract.refusals import Refusal
from domwarden.contract.steps import Step
from domwarden.contract.watchdog import Expiry

#: The version of this contract that drivers state as ``contract = 1``.
CONTRACT = 1

hookspec = pluggy.HookspecMarker("domwarden")
hookimpl = pluggy.HookimplMarker("domwarden")


class DeviceHooks:
    """The hooks of devices and watchdogs."""

    @hookspec
    def open(self, domain: Domain) -> Job | None:
        """Make what the device needs before the hypervisor's process exists.

        Called at start, at restore and on the destination of a migration. ``None``: nothing.
        """

    @hookspec
    def close(self, domain: Domain) -> Job | None:
        """Undo ``open`` after the hypervisor's process is gone. ``None``: nothing."""

    @hookspec
    def migrate(self, domain: Domain, step: Step) -> Job | Refusal | None:
        """Take part in one step on the source (and in a save).

        At TEST a refusal may be returned at once, or by the job; a ticket returned by the job
        reaches the device's other end. ``None``: this device has nothing to do at this step.
        """

    @hookspec
    def receive(self, domain: Domain, step: Step) -> Job | Refusal | None:
        """Take part in the same step on the destination (and in a restore)."""

    @hookspec
    def recover(self, domain: Domain, step: Step) -> Job | None:
        """Undo, on either end; ``step`` is the last one whose intent was journaled.

        It may be called although that step never ran, and more than once.
        """

    @hookspec
    def finish(self, domain: Domain) -> Job | None:
        """The domain runs over there: announce it there, clean up here."""

    @hookspec
    def clears(self, domain: Domain, blocker: Refusal) -> bool | None:
        """Say whether this device's PREPARE will remove what the engine named as a blocker."""

    @hookspec
    def watchdog_fired(self, domain: Domain, expiry: Expiry) -> Job | None:
        """The domain's watchdog expired, after the hypervisor acted."""

    @hookspec
    def describe(self, domain: Domain) -> Mapping[str, Any] | None:
        """Return facts for status, page and metrics; never blocks."""
