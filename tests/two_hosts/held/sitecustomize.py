"""Holds a process of a host at a named point of a move until the test lets it go on.

Python imports this at the start of what has its folder on PYTHONPATH: the services of the test's
hosts, and what they start. The points are those at which a process can be killed, and the process
that comes to the wanted one stands still there, its whole event loop with it.
"""

import os
import sys
import time
from pathlib import Path

FOLDER = "DOMWARDEN_TEST_POINTS"


class Holder:
    """Takes the place of what kills at a point; the folder says at which one to stop."""

    def __init__(self, *_ignored):
        self.folder = Path(os.environ[FOLDER])

    def __call__(self, point):
        try:
            wanted = (self.folder / "wanted").read_text()
        except FileNotFoundError:
            return
        if wanted != point:
            return
        (self.folder / "wanted").unlink()
        held = self.folder / "held"
        (self.folder / "new").write_text(str(os.getpid()))
        (self.folder / "new").rename(held)
        while held.exists():
            time.sleep(0.001)


if FOLDER in os.environ and any(word.startswith("domwarden") for word in sys.orig_argv):
    from domwarden.migration import crash

    crash.Killer = Holder
