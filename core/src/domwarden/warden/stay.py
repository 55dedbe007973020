"""What is written down of one stay of a domain on a host, from its start to its end."""

from __future__ import annotations

from collections.abc import Iterable

from domwarden.journal import DomainRecord, Hook, JobRecord, StepState


class Stay:
    """One stay, which its epoch tells from others: the records of its devices' jobs.

    ``outcomes`` are made as jobs end, and go with the next write.
    """

    def __init__(self, domain: DomainRecord) -> None:
        self.domain = domain
        #: Stands where a move's id stands in a move's records; no id has this form.
        self.key = f"{domain.name}@{domain.epoch}"
        self.outcomes: list[JobRecord] = []

    def begun(self, hook: Hook, devices: Iterable[str]) -> list[JobRecord]:
        """Make the intents of devices' jobs."""
        return [JobRecord(self.key, device, hook, StepState.BEGUN) for device in devices]

    def ended(self, hook: Hook, device: str, state: StepState) -> None:
        """Keep the outcome of a device's job."""
        self.outcomes.append(JobRecord(self.key, device, hook, state))


def ended(jobs: Iterable[JobRecord], hook: Hook) -> frozenset[str]:
    """Return the devices whose job of a hook ended."""
    begun = {StepState.UNKNOWN, StepState.BEGUN}
    return frozenset(job.device for job in jobs if job.hook is hook and job.state not in begun)
