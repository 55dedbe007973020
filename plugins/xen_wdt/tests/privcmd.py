"""A domain's ``/dev/xen/privcmd`` on the embedded engine: real bytes reach its hypercall."""

import ctypes
import errno
import os

from domwarden.contract import SCHED_WATCHDOG
from domwarden_xen_wdt.hypercall import IOCTL_PRIVCMD_HYPERCALL, PRIVCMD_HYPERCALL, Hypercall

from .benches import SCRATCH


class Privcmd:
    """The kernel between program and hypervisor; ``blocked`` is a guest's kernel that bars."""

    def __init__(self, bench, directory):
        self.bench = bench
        self.path = directory / "privcmd"
        self.path.touch()
        self.blocked = False
        self.requests = []

    def connect(self, _path=None):
        return Hypercall(self.path, self.ioctl)

    def ioctl(self, descriptor, request, argument):
        assert os.fstat(descriptor).st_ino == self.path.stat().st_ino
        assert request == IOCTL_PRIVCMD_HYPERCALL
        if self.blocked:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        operation, command, address, *rest = PRIVCMD_HYPERCALL.unpack(argument)
        assert rest == [0, 0, 0]
        handed = ctypes.string_at(address, SCHED_WATCHDOG.size)
        self.requests.append((operation, command, SCHED_WATCHDOG.unpack(handed)))
        # The bench's memory stands for the process's: the page is at SCRATCH there.
        self.bench.machine.memory.write(SCRATCH, handed)
        answer = self.bench.machine.hypercall(operation, command, SCRATCH)
        if answer < 0:
            raise OSError(-answer, os.strerror(-answer))
        return answer
