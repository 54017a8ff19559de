"""One segment, fed as a recorder feeds it."""

from __future__ import annotations

import io

from bwv_device.camera.recording.segment import MediaFormat, Pace, SealedSegment
from bwv_device.formats.age_payload import Opener, Seal
from hal.ports import SECOND_NS, AccessUnit, Track
from hal.simulated.capture import StubAudio, StubVideo
from hal.simulated.power_dock_and_place import SeededEntropy
from sim.world.test_keys import BenchAgency

FPS = 30
PACE = Pace(SECOND_NS // 2, SECOND_NS // 4, 1_100_000_000)


class Recorded:
    """A segment fed in batches of 250 ms; when each picture became sealed is kept."""

    def __init__(self, agency: BenchAgency, bitrate_bps: int, seconds: int, pace: Pace = PACE):
        video, audio = StubVideo(FPS, bitrate_bps), StubAudio()
        self.pictures = [
            AccessUnit(
                Track.VIDEO,
                n * SECOND_NS // FPS,
                (n + 1) * SECOND_NS // FPS - n * SECOND_NS // FPS,
                n % FPS == 0,
                video.gop(n // FPS)[n % FPS],
            )
            for n in range(seconds * FPS)
        ]
        sounds = [
            AccessUnit(
                Track.AUDIO,
                n * 1024 * SECOND_NS // 48_000,
                1024 * SECOND_NS // 48_000,
                True,
                audio.frame(n),
            )
            for n in range(seconds * 46)
        ]
        everything = sorted([*self.pictures, *sounds], key=lambda unit: unit.pts_ns)
        seal = Seal(agency.recipients, SeededEntropy("segment"))
        media = MediaFormat(video.format, audio.format)
        self.segment = SealedSegment(
            media, self.pictures[0], seal, {"device": "x", "first_pts_ns": 0}, pace
        )
        self.sealed = self.segment.header + self.segment.nonce
        self.worst_wait_ns = 0
        batch_ns = pace.batch_ns
        for end_ns in range(batch_ns, seconds * SECOND_NS + 1, batch_ns):
            batch = [u for u in everything if end_ns - batch_ns <= u.pts_ns < end_ns]
            if end_ns > 2 * SECOND_NS:  # in full swing
                waited = end_ns - self.segment.video_until_ns
                self.worst_wait_ns = max(self.worst_wait_ns, waited)
            self.sealed += b"".join(self.segment.feed(batch))
        self.unfinished = self.sealed
        self.sealed += b"".join(self.segment.finish())
        self.agency = agency

    def plaintext(self) -> bytes:
        return b"".join(Opener(io.BytesIO(self.sealed), self.agency.identities).chunks())
