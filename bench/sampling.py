"""Samples of several contenders, taken in turn so that a busy machine is unfair to none."""

from __future__ import annotations

import dataclasses
import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

Contender = Callable[[], float]


@dataclasses.dataclass(frozen=True)
class Spread:
    """The median of some samples, the quartiles round it, and the best."""

    median: float
    low: float
    high: float
    best: float
    count: int

    @classmethod
    def of(cls, samples: Sequence[float], *, best: Callable[..., float] = min) -> Spread:
        """Sum samples up; ``best`` is ``max`` where more is better."""
        if len(samples) == 1:
            low = high = samples[0]
        else:
            low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
        return cls(statistics.median(samples), low, high, best(samples), len(samples))


def turns(names: Sequence[str], rounds: int) -> Iterator[Sequence[str]]:
    """Yield each round's order: everybody goes first in turn, and follows whom it preceded."""
    for number in range(rounds):
        start = number // 2 % len(names)
        order = [*names[start:], *names[:start]]
        yield order if number % 2 == 0 else order[::-1]


def interleaved(contenders: Mapping[str, Contender], rounds: int) -> dict[str, list[float]]:
    """Call every contender once a round; returns what each one measured, round by round."""
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for order in turns(list(contenders), rounds):
        for name in order:
            samples[name].append(contenders[name]())
    return samples


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return the ratio of each round's two samples, which shared the machine's mood."""
    return [mine / peer for mine, peer in zip(ours, theirs, strict=True)]


def processor_seconds(work: Callable[[], object]) -> float:
    """Return the processor time of this thread for the work: others on the machine do not count."""
    gc.collect()
    gc.disable()
    try:
        begun = time.thread_time()
        work()
        return time.thread_time() - begun
    finally:
        gc.enable()
