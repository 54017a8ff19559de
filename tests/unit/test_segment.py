"""Chunks, padding, and how long a unit may wait unsealed."""

from __future__ import annotations

import io

import pytest
from support.recorded_segment import FPS, PACE, Recorded

from bwv_device.camera.recording.segment import MediaFormat, SealedSegment
from bwv_device.formats.age_payload import CHUNK, TAG, Opener, Seal
from bwv_device.formats.media.mp4_reader import boxes, fragments, units
from hal.ports import SECOND_NS, AccessUnit, Track
from hal.simulated.capture import StubAudio, StubVideo
from hal.simulated.power_dock_and_place import SeededEntropy
from sim.world.test_keys import BenchAgency


@pytest.mark.parametrize(
    "bitrate_bps", [60_000, 300_000, 1_000_000, 1_500_000, 4_000_000, 8_000_000]
)
def test_no_picture_waits_longer_than_the_bound(agency: BenchAgency, bitrate_bps: int) -> None:
    recorded = Recorded(agency, bitrate_bps, 12)
    assert 0 < recorded.worst_wait_ns <= 1_200_000_000


def test_without_padding_the_bound_would_break(agency: BenchAgency) -> None:
    """Negative control: patience without end."""
    recorded = Recorded(agency, 300_000, 12, PACE._replace(patience_ns=60 * SECOND_NS))
    assert recorded.worst_wait_ns > 1_200_000_000


@pytest.mark.parametrize("bitrate_bps", [60_000, 1_000_000, 8_000_000])
def test_every_unit_comes_back(agency: BenchAgency, bitrate_bps: int) -> None:
    recorded = Recorded(agency, bitrate_bps, 6)
    data = recorded.plaintext()
    found = [
        unit
        for moof, mdat in fragments(data)
        for unit in units(data, moof, mdat, 48_000)
        if unit.track is Track.VIDEO
    ]
    numbers = [StubVideo.number_of(unit.data) for unit in found]
    assert numbers == list(range(6 * FPS))
    shifts = {abs(f.pts_ns - p.pts_ns) for f, p in zip(found, recorded.pictures, strict=True)}
    assert max(shifts) <= 500


def test_what_the_segment_says_is_sealed_is_really_there(agency: BenchAgency) -> None:
    """The newest picture inside whole chunks, claimed and found, at every chunk boundary."""
    recorded = Recorded(agency, 1_500_000, 6)
    opener = Opener(io.BytesIO(recorded.unfinished), agency.identities)
    data = b"".join(opener.whole_chunks())
    ends = [
        unit.pts_ns + unit.duration_ns
        for moof, mdat in fragments(data)
        for unit in units(data, moof, mdat, 48_000)
        if unit.track is Track.VIDEO
    ]
    # `finish` moved the claim to the very end; the one before it can't have been later than this.
    assert recorded.segment.video_until_ns >= max(ends)
    assert len(recorded.unfinished) % (CHUNK + TAG) == len(
        recorded.segment.header + recorded.segment.nonce
    ) % (CHUNK + TAG)


@pytest.mark.parametrize("rest", range(CHUNK - 10, CHUNK + 2))
def test_a_rest_too_small_for_a_box_goes_into_the_next_chunk(
    agency: BenchAgency, rest: int
) -> None:
    recorded = Recorded(agency, 300_000, 1)
    segment = SealedSegment(
        MediaFormat(StubVideo().format, StubAudio().format),
        recorded.pictures[0],
        Seal(agency.recipients, SeededEntropy("rest")),
        {},
        PACE,
    )
    start = segment.plaintext_length
    sealed = segment._take(bytes(rest - start))  # as if a fragment had ended just there
    sealed += segment._fill()
    assert {len(chunk) for chunk in sealed} == {CHUNK + TAG}
    whole = b"".join([segment.header, segment.nonce, *sealed, *segment.finish()])
    data = b"".join(Opener(io.BytesIO(whole), agency.identities).chunks())
    assert len(data) == segment.plaintext_length
    assert [box.kind for box in boxes(data[rest:])][-1] == b"free"


def test_a_segment_must_start_with_a_real_keyframe(agency: BenchAgency) -> None:
    picture = AccessUnit(Track.VIDEO, 0, 1, False, StubVideo().gop(0)[3])
    media = MediaFormat(StubVideo().format, StubAudio().format)
    seal = Seal(agency.recipients, SeededEntropy("x"))
    with pytest.raises(ValueError, match="keyframe"):
        SealedSegment(media, picture, seal, {}, PACE)


def test_two_files_never_share_key_or_nonce(agency: BenchAgency) -> None:
    entropy = SeededEntropy("many")
    seals = [Seal(agency.recipients, entropy) for _ in range(20)]
    assert len({seal.nonce for seal in seals}) == 20
    assert len({b"".join(seal.feed(bytes(2 * CHUNK))) for seal in seals}) == 20
