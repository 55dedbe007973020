"""Both hosts' `domwarden serve`, each the other's peer by TLS."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from domwarden.testing.authority import Authority

START_SECONDS = 60.0
HOST = """\
host: {name}
state: {name}
listen: 127.0.0.1:{port}
tls: {{authority: {tls.authority}, certificate: {tls.certificate}, key: {tls.key}}}
peers: {{{peer}: {{address: "127.0.0.1:{peer_port}"}}}}
drivers: {{qemu: {{accel: tcg}}}}
"""


def host_file(folder: Path, name: str) -> Path:
    """Return the host file of a service; its state is that of ``NAME.yaml`` beside it."""
    return folder / f"{name}-served.yaml"


@contextlib.contextmanager
def services(folder: Path) -> Iterator[None]:
    """Run the services of the hosts ``a`` and ``b``, whose state is under the folder."""
    authority = Authority(folder / "pki")
    ports = dict(zip("ab", _free_ports(2), strict=True))
    for name, peer in ("ab", "ba"):
        text = HOST.format(
            name=name, port=ports[name], tls=authority.host(name), peer=peer, peer_port=ports[peer]
        )
        host_file(folder, name).write_text(text)
    with contextlib.ExitStack() as running:
        for name in "ab":
            running.enter_context(_service(host_file(folder, name), folder / name))
        yield


@contextlib.contextmanager
def _service(file: Path, state: Path) -> Iterator[None]:
    program = [sys.executable, "-m", "domwarden", "serve", "-H", str(file)]
    with (
        (file.with_suffix(".log")).open("ab") as log,
        subprocess.Popen(program, stderr=log) as process,
    ):
        try:
            _wait_until_listening(state / "domwarden.sock")
            yield
        finally:
            process.terminate()


def _wait_until_listening(path: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while not path.exists():
        if time.monotonic() > until:
            raise RuntimeError(f"no service listens at {path}")
        time.sleep(0.05)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
