"""xl's messages are told apart however they arrive."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domwarden_xen.transport import messages
from domwarden_xen.transport.messages import Heard, MessageError, ReceiverWords, SenderWords

Cuts = list[int]


def pieces(data: bytes, cuts: Cuts) -> list[bytes]:
    """Cut data at these places."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


CUTS = st.lists(st.integers(0, 10_000), max_size=12)


@given(CUTS, st.sampled_from([0, 1, 3, 255]))
def test_a_receivers_words_are_heard_in_order_however_they_are_cut(cuts: Cuts, status: int) -> None:
    """Banner, ready, and the report with its byte, and the permission when the byte is not 0."""
    said = messages.BANNER + messages.READY + messages.REPORT + bytes([status])
    expected = [Heard.BANNER, Heard.READY, Heard.STARTED if status == 0 else Heard.REFUSED]
    if status:
        said += messages.GO
        expected.append(Heard.GIVEN_BACK)
    words = ReceiverWords()
    heard = [word for piece in pieces(said, cuts) for word in words.feed(piece)]
    assert heard == expected
    assert words.status == status


@given(CUTS, st.binary(max_size=300))
def test_a_sender_streams_until_ready_was_passed_on_and_then_says_go(
    cuts: Cuts, stream: bytes
) -> None:
    """A stream that happens to contain *go* is stream all the same."""
    stream = stream + messages.GO + stream
    words = SenderWords()
    passed = b"".join(words.feed(piece)[0] for piece in pieces(stream, cuts))
    assert passed == stream
    words.told = True
    heard = [word for piece in pieces(messages.GO, cuts) for word in words.feed(piece)[1]]
    assert heard == [Heard.GO]


@given(st.integers(0, 200), CUTS)
def test_a_byte_that_is_not_due_is_refused_at_once(at: int, cuts: Cuts) -> None:
    """Nothing is taken for a message that differs in one byte."""
    said = bytearray(messages.BANNER + messages.READY)
    at %= len(said)
    said[at] ^= 0x55
    words = ReceiverWords()

    def feed_all() -> None:
        for piece in pieces(bytes(said), cuts):
            words.feed(piece)

    with pytest.raises(MessageError):
        feed_all()


def test_nothing_may_follow_the_last_message() -> None:
    """What comes behind it is an error on either side."""
    words = ReceiverWords()
    words.feed(messages.BANNER + messages.READY + messages.STARTED)
    with pytest.raises(MessageError):
        words.feed(b"x")
    sender = SenderWords()
    sender.told = True
    with pytest.raises(MessageError):
        sender.feed(messages.GO + b"x")


def test_our_answers_are_what_a_receiver_says() -> None:
    """What a shim says in a receiver's place is understood as it is meant."""
    for answer, meaning in (
        (messages.STARTED, [Heard.STARTED]),
        (messages.GIVEN_BACK, [Heard.REFUSED, Heard.GIVEN_BACK]),
    ):
        words = ReceiverWords()
        words.feed(messages.BANNER + messages.READY)
        assert words.feed(answer) == meaning
