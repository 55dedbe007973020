"""Where QEMU's own NBD server listens: a Unix socket, or a port of this host's address."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from domwarden.contract import Domain, End, QemuControl, Stream
from domwarden.contract.qemu_tls import qemu_serves
from domwarden_blk.ends import SocketAddress
from domwarden_blk.names import export_port, export_socket
from domwarden_blk.travel import Secured, arriving

#: The disks of one domain share the server, and so its port.
_choosing = threading.Lock()


class Door:
    """One domain's; the first of its disks opens it."""

    def __init__(self, domain: Domain, control: QemuControl) -> None:
        self._domain = domain
        self._control = control
        self._host, self._stream = "", Stream.LOCAL
        if domain.end is End.DESTINATION:
            self._host, self._stream = arriving(domain)

    @property
    def own_way(self) -> Secured | None:
        """How this host itself goes through the door."""
        host = self._domain.host
        return Secured(host, host.name) if self._stream is Stream.TLS else None

    async def address(self) -> SocketAddress:
        """Return where it is, for whoever comes."""
        if not self._host:
            return {"type": "unix", "path": str(export_socket(self._domain))}
        port = await asyncio.to_thread(export_port(self._domain).read_text, encoding="ascii")
        return {"type": "inet", "host": self._host, "port": port, "stream": self._stream}

    @contextlib.asynccontextmanager
    async def opening(self) -> AsyncIterator[Mapping[str, Any]]:
        """Give the arguments of ``nbd-server-start``, and keep the port for it meanwhile."""
        if not self._host:
            path = str(export_socket(self._domain))
            yield {"addr": {"type": "unix", "data": {"path": path}}}
            return
        file = export_port(self._domain)
        port, kept = await asyncio.to_thread(_choose, self._host, file)
        try:
            place = {"host": self._host, "port": str(port)}
            yield {"addr": {"type": "inet", "data": place}, **await self._credentials()}
        finally:
            if kept is not None:
                kept.close()

    async def shut(self) -> None:
        """Forget the port; the server has ended."""
        await asyncio.to_thread(export_port(self._domain).unlink, missing_ok=True)

    async def _credentials(self) -> Mapping[str, str]:
        if self._stream is not Stream.TLS:
            return {}
        domain = self._domain
        # This host compares what arrived through the same door.
        peers = (domain.peer, domain.host.name)
        name = f"{domain.device}-tls"
        return await qemu_serves(self._control.execute, domain.host, name, *peers)


def _choose(host: str, file: Path) -> tuple[int, socket.socket | None]:
    """Return the port that another disk has chosen, or a free one with what holds it."""
    with _choosing:
        try:
            return int(file.read_text(encoding="ascii")), None
        except FileNotFoundError:
            pass
        kept = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            # QEMU sets this too, and may then bind what is bound here and never listens.
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            kept.bind((host, 0))
            port = int(kept.getsockname()[1])
            file.write_text(str(port), encoding="ascii")
        except BaseException:
            kept.close()
            raise
        return port, kept
