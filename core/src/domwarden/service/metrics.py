"""What Prometheus may know of this host: few figures, each of which somebody alarms on."""

from __future__ import annotations

import collections

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from domwarden.contract import Expiry
from domwarden.migration import Moved
from domwarden.plan import Desired
from domwarden.service.moves import Move
from domwarden.warden import Looks, MoveState

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The figures of one service since its start."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._domains = Gauge(
            "domwarden_domains",
            "Domains by what the journal says that they should be",
            ["desired"],
            registry=self._registry,
        )
        self._unfinished = Gauge(
            "domwarden_unfinished_moves",
            "Moves that are not done, by whether a process drives them",
            ["state"],
            registry=self._registry,
        )
        self._moves = Counter(
            "domwarden_moves",
            "Moves that this service began and that ended",
            ["movement", "state"],
            registry=self._registry,
        )
        self._blackout = Histogram(
            "domwarden_blackout_seconds",
            "How long a migrated domain stood still",
            buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
            registry=self._registry,
        )
        self._expiries = Counter(
            "domwarden_watchdog_expiries",
            "Watchdogs that fired",
            ["domain", "action"],
            registry=self._registry,
        )
        self._requests = Counter(
            "domwarden_requests",
            "Requests by the status of their answers",
            ["status"],
            registry=self._registry,
        )

    def moved(self, move: Move) -> None:
        """Count a move that ended."""
        self._moves.labels(move.movement, move.state).inc()
        if isinstance(move.result, Moved) and move.result.blackout_seconds is not None:
            self._blackout.observe(move.result.blackout_seconds)

    def expired(self, expiry: Expiry) -> None:
        """Count an expiry."""
        self._expiries.labels(expiry.domain, expiry.action).inc()

    def answered(self, status: int) -> None:
        """Count a request."""
        self._requests.labels(str(status)).inc()

    async def text(self, looks: Looks) -> str:
        """Return everything in Prometheus's text format, with the journal's own counts as of now.

        https://prometheus.io/docs/instrumenting/exposition_formats/
        """
        desired = await looks.desired()
        for state in Desired:
            self._domains.labels(state).set(desired[state])
        unfinished = collections.Counter(one.state for one in await looks.unfinished())
        for driven in (MoveState.RUNNING, MoveState.WAITING):
            self._unfinished.labels(driven).set(unfinished[driven])
        return generate_latest(self._registry).decode()
