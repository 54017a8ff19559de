"""Units as words: I is a keyframe, P another picture, a a piece of sound; 100 ms each."""

from __future__ import annotations

import pytest

from bwv_device.camera.recording.pre_event_buffer import PreEventBuffer
from hal.ports import SECOND_NS, AccessUnit, Track

STEP_NS = SECOND_NS // 10


def units(word: str, start: int = 0, size: int = 100) -> list[AccessUnit]:
    made = []
    for at, letter in enumerate(word, start):
        track = Track.AUDIO if letter == "a" else Track.VIDEO
        key = letter in "Ia"
        made.append(AccessUnit(track, at * STEP_NS, STEP_NS, key, bytes(size)))
    return made


def word(given: list[AccessUnit]) -> str:
    letters = {(Track.AUDIO, True): "a", (Track.VIDEO, True): "I", (Track.VIDEO, False): "P"}
    return "".join(letters[unit.track, unit.keyframe] for unit in given)


def drained(buffer: PreEventBuffer, now: int) -> str:
    return word(buffer.drain(now * STEP_NS).units)


@pytest.mark.parametrize(
    ("given", "seconds", "expected"),
    [
        ("IPPPIPPPIPPP", 0.4, "IPPP"),
        ("IPPPIPPPIPPP", 0.5, "IPPPIPPP"),
        ("IPPPIPPPIPPP", 0.8, "IPPPIPPP"),
        ("IPPPIPPPIPPP", 9, "IPPPIPPPIPPP"),
        ("PPPIPPP", 9, "IPPP"),  # starts at a keyframe, whatever came before
        ("PPPP", 9, ""),
        ("IaPaPaIaPa", 0.3, "IaPa"),
        ("IPPPIPPP", 0, ""),
    ],
)
def test_whole_groups_covering_at_least_the_duration(
    given: str, seconds: float, expected: str
) -> None:
    buffer = PreEventBuffer(round(seconds * SECOND_NS), 1 << 20, audio=True)
    buffer.extend(units(given))
    assert drained(buffer, len(given)) == expected


def test_it_is_drained_once() -> None:
    buffer = PreEventBuffer(SECOND_NS, 1 << 20, audio=True)
    buffer.extend(units("IPPP"))
    assert drained(buffer, 4) == "IPPP"
    assert drained(buffer, 4) == ""
    assert buffer.size == 0


def test_sound_never_enters_where_it_is_switched_off() -> None:
    buffer = PreEventBuffer(SECOND_NS, 1 << 20, audio=False)
    buffer.extend(units("IaPaPa"))
    assert buffer.size == 300
    assert drained(buffer, 6) == "IPP"


def test_bytes_are_bounded_by_whole_groups_and_the_reason_is_given() -> None:
    buffer = PreEventBuffer(2 * SECOND_NS, 900, audio=True)
    buffer.extend(units("IPPPIPPPIPPP"))
    assert buffer.size <= 900
    given = buffer.drain(12 * STEP_NS)
    assert (word(given.units), given.shortfall) == ("IPPPIPPP", "memory limit")


def test_a_single_group_beyond_the_limit_is_dropped_whole() -> None:
    buffer = PreEventBuffer(2 * SECOND_NS, 350, audio=True)
    buffer.extend(units("IPPPPPPP"))
    assert buffer.size == 0
    buffer.extend(units("PPIPP", start=8))
    assert drained(buffer, 13) == "IPP"


def test_the_achieved_length_and_why_it_is_short() -> None:
    buffer = PreEventBuffer(SECOND_NS, 1 << 20, audio=True)
    assert buffer.drain(0).shortfall == "no picture yet"
    buffer.extend(units("IPPP"))
    given = buffer.drain(5 * STEP_NS)
    assert (given.achieved_ns, given.requested_ns) == (5 * STEP_NS, SECOND_NS)
    assert given.shortfall == "camera started or last recording ended shortly before"
    buffer.extend(units("IPPP", start=10))
    buffer.interrupted(12 * STEP_NS)
    assert buffer.drain(14 * STEP_NS).shortfall == "camera interrupted"
    buffer.extend(units("IPPPIPPPIPPPIPPP", start=20))
    assert buffer.drain(36 * STEP_NS).shortfall == ""
