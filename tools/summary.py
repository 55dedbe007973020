"""Adds up the test reports of the matrix and closes with one line of counts."""

import argparse
import configparser
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: environments that hold no tests; tox judges them by their exit status
CHECKS = {"lint", "types"}


def main() -> None:
    """Print a line for each environment, then the sum; exit 1 if any failed or tested nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="directory with one JUnit file an environment")
    options = parser.parse_args()
    passed = failed = skipped = 0
    for environment in _environments():
        report = options.results / f"{environment}.xml"
        if not report.exists():
            print(f"{environment:>16}  did not report")
            failed += 1
            continue
        counts = _counts(report)
        print(f"{environment:>16}  {counts[0]:5} passed {counts[1]:4} failed {counts[2]:4} skipped")
        passed, failed, skipped = passed + counts[0], failed + counts[1], skipped + counts[2]
        if not counts[0] and not counts[1]:
            print(f"{'':>16}  tested nothing")
            failed += 1
    print(f"tests: {passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)


def _environments() -> list[str]:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    return [name for name in re.split(r"[,\s]+", tox["tox"]["env_list"]) if name not in CHECKS]


def _counts(report: Path) -> tuple[int, int, int]:
    """Return passed, failed and skipped; an error in a fixture or a module is a failure."""
    total = failed = skipped = 0
    for suite in ElementTree.parse(report).iter("testsuite"):
        total += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    return total - failed - skipped, failed, skipped


if __name__ == "__main__":
    main()
