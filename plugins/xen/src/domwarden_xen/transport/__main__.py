"""The door of both shims: ``python -m domwarden_xen.transport``, its order in the environment."""

from __future__ import annotations

import json
import os
import signal

from .order import VARIABLE
from .shim import Shim


def main() -> None:
    """Be the shim that the order asks for."""
    # A terminal that closes, or one ^C for all, must not end a move.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = json.loads(os.environ.pop(VARIABLE))
    shim: Shim
    if order["end"] == "source":
        from .source import SourceShim  # here: each end loads only what it needs

        shim = SourceShim(order)
    else:
        from .target import TargetShim  # as above

        shim = TargetShim(order)
    shim.run()


main()
