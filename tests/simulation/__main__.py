"""``python -m tests.simulation SEED`` replays one seed; ``--seeds N`` lives through many."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time

from .breaks import planted
from .many import run_seeds
from .story import run_seed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", help="replay this one and tell everything")
    parser.add_argument("--seeds", type=int, default=0, help="how many to live through")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--break", dest="planted", metavar="RULE", help="break this rule first")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        with planted(arguments.planted) if arguments.planted else contextlib.nullcontext():
            verdict = run_seed(arguments.seed)
        print("\n".join(verdict.trace))
        print(verdict)
        return bool(verdict.problems)
    begun = time.perf_counter()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    many = run_seeds(
        seeds,
        jobs=arguments.jobs,
        broken=arguments.planted,
        tell=lambda failed: print(failed, flush=True),
    )
    print(f"{len(many.failed)} of {len(seeds)} failed, {time.perf_counter() - begun:.1f} s")
    for ending, count in many.endings.most_common():
        print(f"{count:8} {ending}")
    return bool(many.failed)


if __name__ == "__main__":
    sys.exit(main())
