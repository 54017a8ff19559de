"""What a new system must show before it is kept: that pictures come, and go whole through seal and
opening. All of it is in memory; nothing of it reaches the card, and no lamp says that it records.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from bwv_device.camera.recording.segment import MediaFormat, Pace, SealedSegment, starts_segment
from bwv_device.formats import age
from bwv_device.formats.age_payload import Opener, Seal
from bwv_device.formats.media import mp4_reader
from bwv_device.formats.media.h264 import without_parameter_sets
from hal.ports import SECOND_NS, AccessUnit, Board, Track

PACE = Pace(SECOND_NS // 2, SECOND_NS // 2, SECOND_NS)
# Between two keyframes there are seconds at most; a camera without keyframes fills no memory.
BYTES_LIMIT = 16 << 20


class SelfTestError(ValueError):
    """What the new system can't do."""


class PictureGroup:
    """Pictures of the camera from a keyframe to the next."""

    def __init__(self) -> None:
        self.units: list[AccessUnit] = []
        self._bytes = 0
        self.whole = False

    def take(self, batch: Sequence[AccessUnit]) -> None:
        """Raises `SelfTestError` where no second keyframe comes."""
        for unit in batch:
            if unit.track is not Track.VIDEO or self.whole:
                continue
            if starts_segment(unit) and self.units:
                self.whole = True
            elif self.units or starts_segment(unit):
                self.units.append(unit)
                self._bytes += len(unit.data)
        if self._bytes > BYTES_LIMIT:
            raise SelfTestError("no second keyframe comes")


def pass_through(
    units: Sequence[AccessUnit], board: Board, identity: age.X25519Identity | age.HybridIdentity
) -> None:
    """Seals pictures to a key of this moment and opens them with it. Raises `SelfTestError` where
    other pictures come out."""
    media = MediaFormat(board.camera.format, board.microphone.format)
    seal = Seal([identity.recipient()], board.entropy)
    segment = SealedSegment(media, units[0], seal, {"self_test": True}, PACE)
    sealed = [segment.header, segment.nonce, *segment.feed(units), *segment.finish()]
    opener = Opener(io.BytesIO(b"".join(sealed)), [identity])
    film = b"".join(opener.chunks())
    if not opener.ended:
        raise SelfTestError("what was sealed can't be opened to its end")
    rate_hz = media.audio.sample_rate_hz
    found = [
        unit.data
        for moof, mdat in mp4_reader.fragments(film)
        for unit in mp4_reader.units(film, moof, mdat, rate_hz)
    ]
    if [without_parameter_sets(data) for data in found] != [
        without_parameter_sets(unit.data) for unit in units
    ]:
        raise SelfTestError("other pictures come out than went in")
