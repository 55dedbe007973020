"""Where the engine keeps what belongs to one domain on one host."""

from __future__ import annotations

import dataclasses
import functools
import shutil
from pathlib import Path

from domwarden.contract import EngineError, Host

#: Linux: sun_path of a Unix socket's address, without the final zero.
SOCKET_PATH_LIMIT_BYTES = 107


@dataclasses.dataclass(frozen=True)
class Files:
    """The paths of one domain; its folder is 0700, its sockets 0600."""

    host: Host
    name: str

    @functools.cached_property
    def directory(self) -> Path:
        """What exists only while a copy of the domain, or its remains, are here."""
        return self.host.domain_directory(self.name) / "qemu"

    @property
    def record(self) -> Path:
        """Who the process is, and how far it was taken."""
        return self.directory / "record.json"

    @property
    def pidfile(self) -> Path:
        """QEMU's own pid file; its path also marks the process in /proc."""
        return self.directory / "pid"

    @property
    def control(self) -> Path:
        """QMP for short questions from anybody."""
        return self.directory / "control"

    @property
    def events(self) -> Path:
        """QMP for the one who supervises the domain."""
        return self.directory / "events"

    @property
    def move(self) -> Path:
        """QMP for the one who moves the domain, and for device drivers' events."""
        return self.directory / "move"

    @property
    def console(self) -> Path:
        """The guest's serial console."""
        return self.directory / "console"

    @property
    def incoming(self) -> Path:
        """Where a source on the same machine connects."""
        return self.directory / "incoming"

    @property
    def devicestate(self) -> Path:
        """The last sample of the devices' state."""
        return self.directory / "devicestate"

    @property
    def log(self) -> Path:
        """What QEMU said on stderr; it outlives the domain."""
        return self.host.state_directory / "logs" / f"{self.name}.qemu.log"

    @property
    def console_log(self) -> Path:
        """What the guest said on its console; it outlives the domain."""
        return self.host.state_directory / "logs" / f"{self.name}.console.log"

    @property
    def dumps(self) -> Path:
        """Where memory dumps of hung guests go; they outlive the domain."""
        return self.host.state_directory / "dumps"

    def create(self) -> None:
        """Make the folders; raises EngineError when the sockets' paths would be too long."""
        length = len(bytes(self.incoming))
        if length > SOCKET_PATH_LIMIT_BYTES:
            raise EngineError(
                f"{self.incoming}: {length} bytes are too long for a socket's path",
                hint="choose a shorter state directory",
            )
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.parent.chmod(0o700)
        self.log.parent.mkdir(mode=0o700, exist_ok=True)

    def remove(self) -> None:
        """Remove what exists only while the domain is here; idempotent."""
        # The record goes last: as long as anything is left, the domain counts as being here.
        for path in self.directory.glob("*"):
            if path != self.record:
                path.unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)
        try:
            self.directory.parent.rmdir()
        except OSError:
            pass  # a device's files, or the core's, are still in it
