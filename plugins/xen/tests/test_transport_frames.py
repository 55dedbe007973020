"""Pieces of the link are found however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden_xen.transport.frames import LIMIT_BYTES, FrameError, Frames, Kind, frame

from .test_transport_messages import CUTS, Cuts, pieces


@given(st.lists(st.tuples(st.sampled_from(list(Kind)), st.binary(max_size=40)), max_size=6), CUTS)
def test_what_is_sent_is_heard(said: list[tuple[Kind, bytes]], cuts: Cuts) -> None:
    """Every piece arrives once, whole, in order."""
    data = b"".join(frame(kind, body) for kind, body in said)
    frames = Frames()
    assert [heard for piece in pieces(data, cuts) for heard in frames.feed(piece)] == said


@pytest.mark.parametrize("data", [b"\0\0\0\0\x63", (LIMIT_BYTES + 1).to_bytes(4, "big") + b"\3"])
def test_a_stranger_is_recognised(data: bytes) -> None:
    """A kind that is none, or a length that no piece has."""
    with pytest.raises(FrameError):
        Frames().feed(data)
