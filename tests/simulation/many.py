"""Many seeds on all processors."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import gc
import multiprocessing
from collections.abc import Callable, Iterable, Sequence

from .breaks import planted
from .story import Verdict, run_seed

#: Seeds that a worker takes at a time.
BATCH = 25


@dataclasses.dataclass
class Many:
    """What became of many seeds; the traces of those that ended well are not kept."""

    failed: list[Verdict] = dataclasses.field(default_factory=list)
    endings: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    events: int = 0

    def add(self, other: Many, tell: Callable[[Verdict], None]) -> None:
        for verdict in other.failed:
            tell(verdict)
        self.failed += other.failed
        self.endings.update(other.endings)
        self.events += other.events


def run_seeds(
    seeds: Sequence[int],
    *,
    jobs: int = 1,
    broken: str | None = None,
    tell: Callable[[Verdict], None] = lambda _: None,
) -> Many:
    """Live through all of them, perhaps with a rule broken; how many processes changes nothing.

    ``tell`` hears at once of each that failed.
    """
    live = functools.partial(_batch, broken=broken)
    many = Many()
    batches = [seeds[start : start + BATCH] for start in range(0, len(seeds), BATCH)]
    if jobs == 1:
        for batch in batches:
            many.add(live(batch), tell)
        return many
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, context) as pool:
        for done in pool.map(live, batches):
            many.add(done, tell)
    return many


def first_failing(seeds: Iterable[int], broken: str) -> Verdict | None:
    """Return the first seed that finds out that a rule is broken."""
    with planted(broken):
        return next((found for seed in seeds if (found := run_seed(seed)).problems), None)


def _batch(seeds: Iterable[int], broken: str | None) -> Many:
    many = Many()
    with planted(broken) if broken else contextlib.nullcontext():
        for seed in seeds:
            verdict = run_seed(seed)
            many.events += verdict.events
            if verdict.problems:
                many.failed.append(verdict)
            else:
                many.endings[verdict.ending] += 1
    gc.collect()
    return many
