"""Runs in dom0: forks from a Python that has imported domwarden, where a new one takes seconds.

``forker.py SOCKET``.  A request is one line of JSON: the path of a script and its arguments; the
script then has the connection as standard output and error.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import signal
import socket
import sys
import traceback

#: What scripts want; they import it again, which costs nothing then.
IMPORTED = (
    "asyncio",
    "domwarden.testing.console",
    "domwarden.testing.engines",
    "domwarden_xen.engine",
)


def serve(path: str) -> None:
    """Fork for each connection, for ever."""
    for name in IMPORTED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{path}.new")
        listener.listen()
        os.rename(f"{path}.new", path)  # who finds it can connect
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _become(connection)
            connection.close()


def _become(connection: socket.socket) -> None:
    """Run the script of a request, and end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    script, *arguments = json.loads(connection.makefile().readline())
    for descriptor in (1, 2):
        os.dup2(connection.fileno(), descriptor)
    sys.argv = [script, *arguments]
    try:
        runpy.run_path(script, run_name="__main__")
    except BaseException:  # noqa: BLE001 - whatever it was, its reader must see it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
