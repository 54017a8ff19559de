"""Judges the pictures within a vault by what the camera signed inside of them: for whoever has the
agency's key. Nothing is written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from cryptography import x509

from bwv_device.errors import SealedFileError
from bwv_device.formats import age
from bwv_device.formats.media.h264 import nal_units
from bwv_device.formats.media.mp4_reader import init_parameter_sets, units
from bwv_device.formats.media.signing_sei import sets_digest
from bwv_device.verification.footage_claims import Claim
from bwv_device.verification.footage_reading import FootageReading
from bwv_device.verification.fragment_stream import TooShortError, opened_fragments
from bwv_device.verification.vault_report import FoundFile, Survey
from bwv_device.verification.video_signatures import VideoJudge, VideoVerdict
from hal.ports import AccessUnit, Track

UNREADABLE = (SealedFileError, ValueError, KeyError, IndexError, TypeError, struct.error, OSError)


def judge_recordings(
    surveyed: Survey, identities: Sequence[age.Identity], roots: Sequence[x509.Certificate]
) -> dict[str, VideoVerdict]:
    """The verdict on each recording that has pictures here, by its name. A segment that does not
    open is an exception of its recording: whether it was changed, the ledger tells."""
    verdicts = {}
    for name in surveyed.recordings():
        judged = _Recording(identities, roots)
        for found in surveyed.of_recording(name):
            judged.read(found)
        if judged.has_pictures:
            verdicts[name] = judged.verdict(surveyed.report.device)
    return verdicts


class _Recording:
    """Its segments, in order, as one stream of NAL units."""

    def __init__(
        self, identities: Sequence[age.Identity], roots: Sequence[x509.Certificate]
    ) -> None:
        self._identities = identities
        self._judge = VideoJudge(roots)
        self._unread: list[str] = []
        self._other_sets: list[str] = []
        self._middle_ns = -1
        self._settled = True
        self.has_pictures = False

    def read(self, found: FoundFile) -> None:
        if found.path is None or found.claim is None or ".jpg." in found.name:
            return
        self._settled &= bool(found.claim.settled)
        try:
            with FootageReading(found.path, found.claim) as reading:
                for nal in self._nals(found.claim, reading):
                    self.has_pictures = True
                    self._judge.take(nal)
        except TooShortError:
            return
        except UNREADABLE as error:
            self.has_pictures = True
            self._unread.append(f"{found.name} was not read to its end: {error}")

    def verdict(self, device: str) -> VideoVerdict:
        verdict = self._judge.finish()
        verdict.vouched_for(to_the_end=self._settled)
        verdict.exceptions += self._unread
        verdict.problems += self._other_sets
        if verdict.device and verdict.device != device:
            verdict.problems.append(f"signed by the camera {verdict.device}, not by {device}")
        return verdict

    def _nals(self, claim: Claim, reading: FootageReading) -> Iterator[bytes]:
        begun = False
        for init, (data, moof, mdat) in opened_fragments(reading, self._identities):
            if not begun:
                begun, sets = True, init_parameter_sets(init)
                if claim.parameter_sets not in ("", sets_digest(sets)):
                    self._other_sets.append(
                        f"{claim.name} has other parameter sets than the ledger names"
                    )
                yield from sets
            start_ns = int(init.metadata["first_pts_ns"])
            for unit in units(data, moof, mdat, init.audio_rate_hz):
                if unit.track is Track.VIDEO and self._is_next(unit, start_ns):
                    yield from nal_units(unit.data)

    def _is_next(self, unit: AccessUnit, start_ns: int) -> bool:
        """Not one that stood at the end of the segment before."""
        pts_ns = start_ns + unit.pts_ns
        if pts_ns <= self._middle_ns:
            return False
        self._middle_ns = pts_ns + (unit.end_ns - unit.pts_ns) // 2
        return True
