"""Drawn changes of a signed film: two verifiers that share no code must give one answer, and no
film with other pictures may be genuine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bwv_device.camera.recording.video_signer import SigningChain, VideoSigner, video_vendor
from bwv_device.formats.media.h264 import nal_units, parameter_sets
from bwv_device.verification.second_video_verifier import EXCEPTION, FALSE, GENUINE, Film
from bwv_device.verification.video_signatures import Answer, judge_video
from hal.ports import SECOND_NS, AccessUnit, Track
from hal.simulated.capture import StubVideo
from sim.random_streams import Draws
from sim.world.test_keys import FOUNDED, BenchAgency

FPS, GROUPS, SEGMENT = 5, 6, 3
ANSWERS = {Answer.GENUINE: GENUINE, Answer.EXCEPTION: EXCEPTION, Answer.NOT_GENUINE: FALSE}


@dataclass
class VideoMutationsOutcome:
    """What a sweep came to."""

    films: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class VideoMutations:
    """Two segments of three groups."""

    def __init__(self) -> None:
        self._agency, video = BenchAgency(), StubVideo(FPS, 40_000)
        chain, frame_ns = SigningChain(), SECOND_NS // FPS
        units = [
            AccessUnit(Track.VIDEO, (FPS * n + at) * frame_ns, frame_ns, at == 0, data)
            for n in range(GROUPS) for at, data in enumerate(video.gop(n))
        ]  # fmt: skip
        self._whole: list[bytes] = []
        for start in range(0, len(units), SEGMENT * FPS):
            self._whole += self._signed(units[start : start + SEGMENT * FPS], chain)
        self._pictures = self._slices(self._whole)

    def _signed(self, units: Sequence[AccessUnit], chain: SigningChain) -> list[bytes]:
        sets = parameter_sets(units[0].data)
        vendor = video_vendor(self._agency.device.device, sets)
        began_ns = (int(FOUNDED.timestamp()) + 86_400) * SECOND_NS
        signer = VideoSigner(chain, self._agency.device, vendor, began_ns)
        made = [signer.take(unit) for unit in units]
        made[-1] = signer.finish(made[-1])
        return [nal for unit in made for nal in nal_units(unit.data)]

    def run(self, seeds: Iterable[int]) -> VideoMutationsOutcome:
        outcome = VideoMutationsOutcome()
        for seed in seeds:
            nals = self._changed(Draws(seed, "video"))
            first, second = judge_video(nals, [self._agency.root]), Film([self._agency.root])
            answers = ANSWERS[first.answer], second.judge(iter(nals))
            outcome.films += 1
            outcome.answers[answers[0]] += 1
            if answers[0] != answers[1]:
                told = f"{first.problems} {first.exceptions}, {second.false} {second.exceptions}"
                outcome.failures.append(f"seed {seed}: {answers}: {told}")
            if answers[0] == GENUINE and not self._is_part(self._slices(nals)):
                outcome.failures.append(f"seed {seed}: other pictures, and genuine")
        return outcome

    def _changed(self, draws: Draws) -> list[bytes]:
        nals = list(self._whole)
        if draws.below(3) == 0:  # cut at keyframes
            starts = [at for at, nal in enumerate(nals) if nal[0] & 31 == 7]
            nals = nals[draws.pick(starts) :]
        for _ in range(draws.below(4)):
            at, other = draws.below(len(nals)), draws.below(len(nals))
            kind = draws.below(7)
            if kind == 0:
                del nals[at]
            elif kind == 1:
                nals.insert(at, nals[other])
            elif kind == 2:
                nals[at], nals[other] = nals[other], nals[at]
            elif kind == 3:
                flipped = bytearray(nals[at])
                if flipped:
                    flipped[draws.below(len(flipped))] ^= 1 << draws.below(8)
                nals[at] = bytes(flipped)
            elif kind == 4:
                nals[at] = nals[at][: draws.below(len(nals[at]) + 1)]
            elif kind == 5:
                del nals[at : at + 1 + draws.below(6)]
            else:
                nals[at] += bytes(draws.below(3))
            if not nals:
                nals = [b"\x65"]
        return nals

    @staticmethod
    def _slices(nals: Sequence[bytes]) -> list[bytes]:
        return [nal.rstrip(b"\0") for nal in nals if nal and nal[0] & 31 in (1, 5)]

    def _is_part(self, some: Sequence[bytes]) -> bool:
        """Whether the pictures are a run of those that were signed."""
        length = len(some)
        starts = range(len(self._pictures) - length + 1)
        return any(self._pictures[at : at + length] == list(some) for at in starts)
