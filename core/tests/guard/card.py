"""A watchdog behind a device file, as Linux shows one.

A named pipe stands for open, write and close, a function for the ioctls.
"""

import errno
import os
import struct

from domwarden.guard.linux import WATCHDOG_INFO, LinuxWatchdog, Request

INT = struct.Struct("<i")


class Card:
    """Linux' watchdog core over one timer; ``now`` is the test's clock."""

    def __init__(self, directory, least=1, most=600, nowayout=False, identity="Toy card", was=0):
        self.path = directory / "watchdog"
        os.mkfifo(self.path)
        self._reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.least, self.most, self.nowayout = least, most, nowayout
        self.identity, self.was = identity, was
        self.now = 0.0
        self.timeout = 30
        self.deadline = None
        self.kicks = []
        self.lacks = {}
        self.is_open = False

    def driver(self, state=None):
        return LinuxWatchdog({"device": str(self.path)}, state, ioctl=self.ioctl)

    def ioctl(self, descriptor, request, buffer):
        """What the kernel does; the descriptor is the pipe's."""
        assert os.fstat(descriptor).st_ino == self.path.stat().st_ino
        if not self.is_open:
            self.is_open = True
            self.deadline = self.now + self.timeout
        if request in self.lacks:
            raise OSError(self.lacks[request], os.strerror(self.lacks[request]))
        if request == Request.GETSUPPORT:
            buffer[:] = WATCHDOG_INFO.pack(0x8180, 0, self.identity.encode())
        elif request == Request.GETBOOTSTATUS:
            buffer[:] = INT.pack(self.was)
        elif request == Request.KEEPALIVE:
            self.kick()
        elif request == Request.GETTIMEOUT:
            buffer[:] = INT.pack(self.timeout)
        elif request == Request.SETTIMEOUT:
            (wanted,) = INT.unpack(buffer)
            if not self.least <= wanted <= self.most:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            self.timeout = wanted
            self.kick()
        elif request == Request.SETOPTIONS:
            assert INT.unpack(buffer) == (1,)
            if self.nowayout:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            self.deadline = None
        else:
            raise AssertionError(hex(request))
        return 0

    def kick(self):
        self.kicks.append(self.now)
        self.deadline = self.now + self.timeout

    def look(self):
        """Notice what was written and whether the descriptor was closed since."""
        said = b""
        try:
            while data := os.read(self._reader, 100):
                said += data
        except BlockingIOError:
            return  # it is open
        if self.is_open:
            self.is_open = False
            if b"V" in said and not self.nowayout:
                self.deadline = None

    @property
    def armed(self):
        self.look()
        return self.deadline is not None

    @property
    def fired(self):
        self.look()
        return self.deadline is not None and self.now >= self.deadline
