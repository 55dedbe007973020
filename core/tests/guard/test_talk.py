"""The guard never waits for whoever reads what it says."""

import logging
import os

from domwarden.guard.talk import NeverWaiting


def test_a_full_pipe_drops_lines_and_does_not_stop_the_guard():
    reader, writer = os.pipe()
    handler = NeverWaiting(writer)
    record = logging.LogRecord("guard", logging.INFO, __file__, 1, "x" * 1000, (), None)
    for _ in range(1000):  # a megabyte, into 64 KiB
        handler.emit(record)
    held = len(os.read(reader, 2**20))
    assert 0 < held <= 65536
    handler.emit(record)
    assert os.read(reader, 2**20) == b"x" * 1000 + b"\n"
    os.close(reader)
    handler.emit(record)  # nobody is there any more
    os.close(writer)
