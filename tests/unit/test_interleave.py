from __future__ import annotations

from bwv_device.camera.recording.interleave import Interleaver
from hal.ports import SECOND_NS, AccessUnit, Track
from hal.simulated.capture import STUB_PPS, STUB_SPS

MS = 1_000_000
FRAME_NS, SOUND_NS = 40 * MS, 20 * MS


def nal(*unit: bytes) -> bytes:
    return b"".join(len(u).to_bytes(4, "big") + u for u in unit)


KEY = nal(STUB_SPS, STUB_PPS, b"\x65" + bytes(200))
PICTURE = nal(b"\x41" + bytes(200))


def picture(ms: int, data: bytes = PICTURE, key: bool = False) -> AccessUnit:
    return AccessUnit(Track.VIDEO, ms * MS, FRAME_NS, key, data)


def sound(ms: int) -> AccessUnit:
    return AccessUnit(Track.AUDIO, ms * MS, SOUND_NS, True, b"x" * 100)


def order(units: list[AccessUnit]) -> list[tuple[str, int]]:
    return [(unit.track.name[0], unit.pts_ns // MS) for unit in units]


def test_tracks_come_out_in_order_of_capture() -> None:
    both = Interleaver(SECOND_NS)
    both.feed([sound(0)])
    both.feed([picture(0, KEY, True), picture(40)])
    out = both.feed([sound(20), sound(40), sound(60)]).units
    assert order(out) == [("A", 20), ("V", 40), ("A", 40), ("A", 60)]


def test_the_slower_track_is_waited_for_but_not_for_ever() -> None:
    both = Interleaver(100 * MS)
    both.feed([sound(0), picture(0, KEY, True)])
    assert order(both.feed([picture(40)]).units) == []
    assert order(both.feed([picture(80)]).units) == []
    assert order(both.feed([picture(120)]).units) == [("V", 40), ("V", 80), ("V", 120)]


def reasons(result: object) -> list[tuple[str, int]]:
    return [(a.reason, a.units) for a in result.anomalies]


def test_holes_are_noticed_with_their_count() -> None:
    both = Interleaver(SECOND_NS)
    result = both.feed([picture(0, KEY, True), picture(40), picture(160)])
    assert reasons(result) == [("missing", 2)]
    assert (result.anomalies[0].from_ns, result.anomalies[0].to_ns) == (80 * MS, 160 * MS)


def test_jitter_is_no_hole() -> None:
    both = Interleaver(SECOND_NS)
    assert reasons(both.feed([picture(0, KEY, True), picture(45), picture(83)])) == []


def test_backward_and_repeated_units_are_refused_and_counted() -> None:
    both = Interleaver(SECOND_NS)
    result = both.feed([picture(40, KEY, True), picture(40), picture(0), picture(80)])
    assert reasons(result) == [("duplicate", 1), ("backward", 1)]
    assert order(result.units) == [("V", 40), ("V", 80)]


def test_units_that_are_no_pictures_are_refused() -> None:
    both = Interleaver(SECOND_NS)
    only_sets = nal(STUB_SPS, STUB_PPS)
    bare_key = nal(b"\x65" + bytes(200))
    result = both.feed(
        [
            picture(0, only_sets),
            picture(40, bare_key, True),
            picture(80, b"\x00\x00\x00\xff\x41"),
            AccessUnit(Track.AUDIO, 0, SOUND_NS, True, b""),
            picture(120, KEY, True),
        ]
    )
    assert reasons(result) == [
        ("no picture", 1),
        ("keyframe without parameter sets", 1),
        ("malformed", 1),
        ("empty", 1),
    ]
    assert order(result.units) == [("V", 120)]
