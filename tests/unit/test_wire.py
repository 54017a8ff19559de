"""What a capture process and the agent say to each other, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.ports import AccessUnit, Track
from hal.rpi.capture import pipe_messages
from hal.rpi.capture.pipe_messages import Kind, Reader, WireError

some_units = st.lists(
    st.builds(
        AccessUnit,
        st.just(Track.VIDEO),
        st.integers(0, 2**62),
        st.integers(1, 2**40),
        st.booleans(),
        st.binary(max_size=60),
    ),
    max_size=5,
)


@given(some_units, st.integers(1, 50))
def test_units_come_through_in_pieces(batch: list[AccessUnit], step: int) -> None:
    data = pipe_messages.units(batch) + pipe_messages.message(Kind.LOST, {"units": 3})
    reader, messages = Reader(), []
    for at in range(0, len(data), step):
        messages += reader.feed(data[at : at + step])
    assert pipe_messages.parse_units(messages[0].body, Track.VIDEO) == batch
    assert messages[1].fields == {"units": 3}
    assert len(messages) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00\x00\x00\x00",
        b"hello, this is a library's banner",
        pipe_messages.HEADER.pack(Kind.UNITS, pipe_messages.LIMIT + 1),
    ],
)
def test_a_stream_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        list(Reader().feed(data))


@given(st.binary(max_size=200))
def test_no_body_does_more_than_be_refused(body: bytes) -> None:
    for track in Track:
        try:
            for unit in pipe_messages.parse_units(body, track):
                assert unit.track is track
                assert unit.duration_ns > 0
        except WireError:
            continue


def test_units_of_another_track_are_refused() -> None:
    """A microphone's process does not deliver pictures."""
    (message,) = Reader().feed(pipe_messages.units([AccessUnit(Track.VIDEO, 1, 1, True, b"x")]))
    with pytest.raises(WireError):
        pipe_messages.parse_units(message.body, Track.AUDIO)


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b"[" * 100_000])
def test_words_that_are_none_are_refused(body: bytes) -> None:
    with pytest.raises(WireError):
        _ = pipe_messages.Message(Kind.LOST, body).fields
