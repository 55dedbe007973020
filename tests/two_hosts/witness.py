"""Watches from outside what the copies of a guest tell and write, and when: a process of its own.

``python witness.py OUT DISK CONSOLE...``, where a console is HOST=FILE. Every number that the
guest's counter tells on a console is a line of OUT, with the host's name and the time since boot;
the disk's number is there under ``disk`` whenever it changes.
"""

import mmap
import os
import re
import sys
import time
from pathlib import Path

LOOK_SECONDS = 0.002
COUNT = re.compile(rb"^count (\d+)\r?$")
PAGE_BYTES = 4096


class Console:
    """One file that QEMU writes a console to; it may not be there yet."""

    def __init__(self, host, path):
        self.host, self.path = host, path
        self.file, self.rest = None, b""

    def numbers(self):
        """Return what was told since the last look."""
        if self.file is None:
            try:
                self.file = self.path.open("rb")
            except FileNotFoundError:
                return []
        *lines, self.rest = (self.rest + self.file.read()).split(b"\n")
        return [int(found[1]) for line in lines if (found := COUNT.match(line))]


def main(out, disk, *consoles):
    watched = [Console(*each.split("=", 1)) for each in consoles]
    for console in watched:
        console.path = Path(console.path)
    # Around the page cache, as QEMU writes: what is read is what the disk has.
    image = os.open(disk, os.O_RDONLY | os.O_DIRECT)
    page = mmap.mmap(-1, PAGE_BYTES)
    written = -1
    with open(out, "w", buffering=1) as told:
        while os.getppid() != 1:
            now = time.monotonic()
            for console in watched:
                lines = [f"{now:.4f} {console.host} {number}\n" for number in console.numbers()]
                told.writelines(lines)
            os.preadv(image, [page], 0)
            found = COUNT.match(page[:64].partition(b"\n")[0])
            if found and int(found[1]) != written:
                written = int(found[1])
                told.write(f"{now:.4f} disk {written}\n")
            time.sleep(LOOK_SECONDS)


main(*sys.argv[1:])
