"""A simulated camera and microphone: units of a source, handed over in batches, with faults."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

from hal.ports import (
    SECOND_NS,
    AccessUnit,
    AudioFormat,
    CaptureLoss,
    Impairment,
    Scheduler,
    Timer,
    Track,
    UnitSink,
    VideoFormat,
)
from hal.simulated.power_dock_and_place import MARKER

SAMPLES_PER_FRAME = 1024


class VideoSource(Protocol):
    """Encoded pictures of an endless scene: `gop(k)` holds those of second `k`."""

    @property
    def format(self) -> VideoFormat: ...

    def gop(self, number: int) -> Sequence[bytes]: ...

    def keyframe(self, number: int) -> bytes | None:
        """Picture `number` as a keyframe, where the encoder can be asked for one."""
        ...


class AudioSource(Protocol):
    """Encoded sound: AAC frame `number` since the start of the world."""

    @property
    def format(self) -> AudioFormat: ...

    @property
    def delay_frames(self) -> int:
        """How many frames later its encoder gives a frame out."""
        ...

    def frame(self, number: int) -> bytes: ...


class _Device(ABC):
    """Wakes once a batch and delivers what was captured since.

    `origin_ns` is where the scheduler's time starts in the source's. The world's face: `stalled`,
    `disturb`, `lose`, `late_ns` (how long a start takes), `stop_ns` (how long a stop takes: until
    then it goes on delivering, and does not start again), `witness` (hears what was captured, and
    what of it was handed over).
    """

    _track: Track

    def __init__(self, scheduler: Scheduler, batch_ns: int, origin_ns: int = 0) -> None:
        self._scheduler, self._batch_ns, self._origin_ns = scheduler, batch_ns, origin_ns
        self._sink: UnitSink | None = None
        self._next = 0
        self._timer: Timer | None = None
        self.stalled = False
        self.delivered = 0
        self.disturb: Callable[[list[AccessUnit]], list[AccessUnit]] = lambda batch: batch
        self.witness: Callable[[list[AccessUnit], list[AccessUnit]], None] = lambda a, b: None
        self.late_ns = self.stop_ns = 0
        self._delay_ns = 0  # what its encoder takes
        self._ended_ns = self._generation = 0

    def start(self, sink: UnitSink) -> None:
        self._generation += 1
        ready_ns = max(self._scheduler.now_ns(), self._ended_ns) + self.late_ns
        self._sink = sink
        self._next = self._first_after(ready_ns)
        self._scheduler.post(self._wake_later)

    def stop(self) -> None:
        self._ended_ns = self._scheduler.now_ns() + self.stop_ns
        generation = self._generation
        if self.stop_ns:
            self._scheduler.call_at(self._ended_ns, lambda: self._let_go(generation))
        else:
            self._let_go(generation)

    def _let_go(self, generation: int) -> None:
        if generation == self._generation:
            self._sink = None
            self._cancel()

    def _cancel(self) -> None:
        if self._timer:
            self._timer.cancel()

    def impair(self, what: str, present: bool) -> None:
        """The world covers the lens, or takes its hand away."""
        if self._sink:
            self._sink.impaired(Impairment(self._track, what, present))

    def lose(self, loss: CaptureLoss) -> None:
        """The world takes units away, as an overflowing driver does."""
        if self._sink:
            self._sink.lost(loss)

    def _wake_later(self) -> None:
        self._cancel()
        now_ns = self._scheduler.now_ns()
        when_ns = (now_ns // self._batch_ns + 1) * self._batch_ns
        self._timer = self._scheduler.call_at(when_ns, self._deliver)

    def _deliver(self) -> None:
        sink = self._sink  # `stop` may come from another thread meanwhile
        if sink is None:
            return
        batch: list[AccessUnit] = []
        now_ns = self._scheduler.now_ns() - self._delay_ns
        while (unit := self._unit(self._next)).end_ns <= now_ns:
            self._next += 1
            batch.append(unit)
        handed = [] if self.stalled else self.disturb(batch) if batch else batch
        if batch:
            self.witness(batch, handed)
        if handed:
            self.delivered += len(handed)
            sink.units(handed)
        self._wake_later()

    @abstractmethod
    def _unit(self, number: int) -> AccessUnit: ...

    @abstractmethod
    def _first_after(self, now_ns: int) -> int: ...


class SimulatedCamera(_Device):
    """Starts on the next whole second of the world, with a keyframe. The world's face: `jitter_ns`
    (how much later than its rhythm a picture is taken, by its number in the world) and
    `encoder_delay_ns`."""

    _track = Track.VIDEO

    def __init__(
        self, scheduler: Scheduler, source: VideoSource, batch_ns: int, origin_ns: int = 0
    ) -> None:
        super().__init__(scheduler, batch_ns, origin_ns)
        self._source = source
        self._fps = source.format.fps
        self._gop: tuple[int, Sequence[bytes]] = (-1, ())
        self._wanted_ns: int | None = None
        self.jitter_ns: Callable[[int], int] = lambda number: 0
        self.keyframe_requests = 0
        self.captioned = ""

    @property
    def format(self) -> VideoFormat:
        return self._source.format

    def request_keyframe(self) -> None:
        """The next picture is one, where the source can do that; else its rhythm goes on."""
        self.keyframe_requests += 1
        self._wanted_ns = self._scheduler.now_ns()

    @property
    def encoder_delay_ns(self) -> int:
        return self._delay_ns

    @encoder_delay_ns.setter
    def encoder_delay_ns(self, delay_ns: int) -> None:
        self._delay_ns = delay_ns

    def caption(self, words: str) -> None:
        self.captioned = words

    def _first_after(self, now_ns: int) -> int:
        return -(-now_ns // SECOND_NS) * self._fps

    def _unit(self, number: int) -> AccessUnit:
        second, index = divmod(number, self._fps)
        if self._gop[0] != second:
            self._gop = (second, self._source.gop(second + self._origin_ns // SECOND_NS))
        pts_ns, end_ns = self._pts_ns(number), self._pts_ns(number + 1)
        if self._wanted_ns is not None and pts_ns >= self._wanted_ns:
            key = self._wanted_keyframe(number, end_ns)
            if key is not None:
                return AccessUnit(Track.VIDEO, pts_ns, end_ns - pts_ns, True, key)
        data = self._gop[1][index]
        return AccessUnit(Track.VIDEO, pts_ns, end_ns - pts_ns, index == 0, data)

    def _pts_ns(self, number: int) -> int:
        in_world = number + self._origin_ns // SECOND_NS * self._fps
        return number * SECOND_NS // self._fps + self.jitter_ns(in_world)

    def _wanted_keyframe(self, number: int, end_ns: int) -> bytes | None:
        if (
            end_ns <= self._scheduler.now_ns() - self._delay_ns
        ):  # it is captured, not only looked at
            self._wanted_ns = None
        return self._source.keyframe(number + self._origin_ns // SECOND_NS * self._fps)


class SimulatedMicrophone(_Device):
    """Its samples come `drift_ppm` too fast; each frame is stamped with the time it was heard."""

    _track = Track.AUDIO

    def __init__(
        self, scheduler: Scheduler, source: AudioSource, batch_ns: int, origin_ns: int = 0
    ) -> None:
        super().__init__(scheduler, batch_ns, origin_ns)
        self._source = source
        self._rate = source.format.sample_rate_hz
        self._delay_ns = source.delay_frames * SAMPLES_PER_FRAME * SECOND_NS // self._rate
        self.drift_ppm = 0

    @property
    def format(self) -> AudioFormat:
        return self._source.format

    def _first_after(self, now_ns: int) -> int:
        rate_uhz = self._rate * (1_000_000 + self.drift_ppm)
        return -(-now_ns * rate_uhz // (SECOND_NS * SAMPLES_PER_FRAME * 1_000_000))

    def _pts_ns(self, number: int) -> int:
        rate_uhz = self._rate * (1_000_000 + self.drift_ppm)
        return number * SAMPLES_PER_FRAME * SECOND_NS * 1_000_000 // rate_uhz

    def _unit(self, number: int) -> AccessUnit:
        pts_ns, end_ns = self._pts_ns(number), self._pts_ns(number + 1)
        first = self._origin_ns * self._rate // (SECOND_NS * SAMPLES_PER_FRAME)
        frame = self._source.frame(first + number)
        return AccessUnit(Track.AUDIO, pts_ns, end_ns - pts_ns, True, frame)


# --- stub media: quick to make, marked, countable ----------------------------------------------

STUB_SPS = bytes.fromhex("6742c01fda014016ec0440000003004000000f03c60ca8")
STUB_PPS = bytes.fromhex("68ce3c80")
# ISO/IEC 14496-3: AAC LC, 48 kHz, one channel.
STUB_SPECIFIC_CONFIG = bytes.fromhex("1188")


# A slice begins with the number of its first macroblock: one bit, set, for 0.
FIRST_MACROBLOCK = 1 << 63


def _slice_at(sample: bytes) -> int:
    """Where a sample's picture begins: in front of it there may be other NAL units."""
    at = 4
    while sample[at] & 31 not in (1, 5):
        at += 4 + int.from_bytes(sample[at - 4 : at], "big")
    return at


class StubVideo:
    """Pictures that no decoder shows, of the right sizes; each carries its number and a marker."""

    def __init__(self, fps: int = 30, bitrate_bps: int = 4_000_000) -> None:
        self.format = VideoFormat(1280, 720, fps, bitrate_bps, "stub")
        self.weight_permille: Callable[[int], int] = lambda second: 1000  # of the usual size
        share = bitrate_bps // 8 // (fps + 4)  # a keyframe weighs as much as five other pictures
        self._picture = self._filler(share)
        self._keyframe = self._filler(5 * share)

    def gop(self, number: int) -> Sequence[bytes]:
        first = number * self.format.fps
        filler = self._weighed(self._picture, number)
        return [self.keyframe(first)] + [
            _nal(self._numbered(0x41, first + i, filler)) for i in range(1, self.format.fps)
        ]

    def keyframe(self, number: int) -> bytes:
        filler = self._weighed(self._keyframe, number // self.format.fps)
        picture = self._numbered(0x65, number, filler)
        return _nal(STUB_SPS) + _nal(STUB_PPS) + _nal(picture)

    @staticmethod
    def is_keyframe(sample: bytes) -> bool:
        """Whether a sample as stored in MP4 is one."""
        return sample[_slice_at(sample)] == 0x65

    @staticmethod
    def number_of(sample: bytes) -> int:
        """The number that a stub picture carries, from its sample as stored in MP4."""
        at = _slice_at(sample) + 1
        return int.from_bytes(sample[at : at + 8], "big") - FIRST_MACROBLOCK

    def _weighed(self, filler: bytes, second: int) -> bytes:
        length = len(filler) * self.weight_permille(second) // 1000
        return (filler * 2)[: max(length, len(MARKER))] if length != len(filler) else filler

    @staticmethod
    def _filler(size: int) -> bytes:
        return (MARKER * (size // len(MARKER) + 1))[: max(size - 13, len(MARKER))]

    @staticmethod
    def _numbered(header: int, number: int, filler: bytes) -> bytes:
        return bytes([header]) + (FIRST_MACROBLOCK + number).to_bytes(8, "big") + filler


class StubAudio:
    """AAC frames that no decoder plays."""

    delay_frames = 0

    def __init__(self, bitrate_bps: int = 64_000) -> None:
        self.format = AudioFormat(48_000, 1, bitrate_bps, STUB_SPECIFIC_CONFIG)
        size = bitrate_bps // 8 * SAMPLES_PER_FRAME // 48_000
        self._filler = (MARKER * (size // len(MARKER) + 1))[: max(size - 8, len(MARKER))]

    def frame(self, number: int) -> bytes:
        return number.to_bytes(8, "big") + self._filler


def _nal(unit: bytes) -> bytes:
    return len(unit).to_bytes(4, "big") + unit
