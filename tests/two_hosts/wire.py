"""Two network namespaces with a wire between them, for a thread that has its mounts for itself."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

#: Where iproute2 looks for named namespaces.
_NAMED = Path("/run/netns")
ADDRESSES = {"a": "10.99.0.1", "b": "10.99.0.2"}


class Wire:
    """Each host's end of it has the host's name; an address each."""

    def inside(self, host: str, *command: str) -> list[str]:
        """Return the command that runs a command in the network of a host."""
        return ["ip", "netns", "exec", host, *command]

    def cut(self, host: str) -> None:
        """Take a host's end down: for the other one the carrier is gone, too."""
        run("ip", "-n", host, "link", "set", "dev", host, "down")

    def mend(self, host: str) -> None:
        """Bring a host's end up again."""
        run("ip", "-n", host, "link", "set", "dev", host, "up")

    @contextlib.contextmanager
    def poor(self, host: str, *discipline: str) -> Iterator[None]:
        """Let what a host sends go through a discipline of ``tc`` meanwhile."""
        change = self.inside(host, "tc", "qdisc")
        run(*change, "replace", "dev", host, "root", *discipline)
        try:
            yield
        finally:
            run(*change, "delete", "dev", host, "root")


def wired() -> Wire:
    """Make both namespaces and the wire; they end with the thread's mounts and its processes.

    The files that hold them lie on a file system that only this thread sees.
    """
    _NAMED.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", "tmpfs", "none", str(_NAMED))
    for host in ADDRESSES:
        run("ip", "netns", "add", host)
    run(
        "ip",
        "-n",
        "a",
        "link",
        "add",
        "name",
        "a",
        "type",
        "veth",
        "peer",
        "name",
        "b",
        "netns",
        "b",
    )
    for host, address in ADDRESSES.items():
        run("ip", "-n", host, "address", "add", f"{address}/24", "dev", host)
        run("ip", "-n", host, "link", "set", "dev", "lo", "up")
        run("ip", "-n", host, "link", "set", "dev", host, "up")
    return Wire()


def run(*command: str) -> None:
    """Run a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, (command, done.stderr)
