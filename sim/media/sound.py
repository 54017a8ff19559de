"""What the simulated microphone hears: a chime each second and something like speech, as AAC."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cache

import av
import numpy as np
import numpy.typing as npt

from hal.ports import SECOND_NS, AudioFormat
from hal.simulated.capture import SAMPLES_PER_FRAME

Samples = npt.NDArray[np.float32]
RATE = 48_000

# Formants of a few vowels, in hertz (Peterson and Barney 1952, rounded).
VOWELS = ((730, 1090), (270, 2290), (300, 870), (530, 1840), (640, 1190))


class Sound:
    """`hal.simulated.capture.AudioSource`: encodes from the frame first asked for, in order."""

    # The encoder's two, and the next frame, at which the microphone looks before it is due: samples
    # must not be asked for before their time, for the beeper may still sound in it.
    delay_frames = 3

    def __init__(self, samples: Callable[[int], Samples], bitrate_bps: int) -> None:
        self._samples, self._bitrate_bps = samples, bitrate_bps
        extradata = _encoder(bitrate_bps).extradata or b""
        self.format = AudioFormat(RATE, 1, bitrate_bps, bytes(extradata))
        self._packets: Iterator[bytes] = iter(())
        self._next = -1
        self._newest = b""
        self._still = False

    def stand_still(self, still: bool) -> None:
        """Silence, where time runs faster than sound can be encoded."""
        self._still = still

    def frame(self, number: int) -> bytes:
        """Frame `number`, asked for in ascending order; the encoder begins anew after a hole."""
        if self._still:
            return _silent_frame(self._bitrate_bps)
        if number == self._next - 1:
            return self._newest
        if number != self._next:
            self._packets = self._encode(number)
        self._newest, self._next = next(self._packets), number + 1
        return self._newest

    def _encode(self, first: int) -> Iterator[bytes]:
        encoder = _encoder(self._bitrate_bps)
        for number in itertools.count():
            samples = self._samples(first + number)
            frame = av.AudioFrame.from_ndarray(samples[None], "fltp", "mono")
            frame.sample_rate, frame.pts = RATE, number * SAMPLES_PER_FRAME
            for packet in encoder.encode(frame):
                # The encoder's delay comes out as one packet before time zero.
                if packet.pts is not None and packet.pts >= 0:
                    yield bytes(packet)


@cache
def _silent_frame(bitrate_bps: int) -> bytes:
    """A frame of lasting silence: the encoder has settled, and so has a decoder."""
    frames = Sound(silence, bitrate_bps)
    return [frames.frame(number) for number in range(8)][-1]


def _encoder(bitrate_bps: int) -> av.AudioCodecContext:
    encoder = av.CodecContext.create("aac", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.bit_rate = RATE, bitrate_bps
    encoder.layout, encoder.format = "mono", "fltp"
    encoder.time_base = Fraction(1, RATE)
    encoder.open()
    return encoder


def street(number: int) -> Samples:
    """Samples of frame `number`, (1024,): a pure function of time."""
    t = (number * SAMPLES_PER_FRAME + np.arange(SAMPLES_PER_FRAME)) / RATE
    second = t % 1
    chime = 0.25 * np.sin(2 * np.pi * 880 * t) * np.exp(-second * 14)
    return (chime + 0.5 * _speech(t)).astype(np.float32)


# An active buzzer, a hand's breadth from the microphone.
BEEPER_HZ, BEEPER_LEVEL = 2700, 0.08


def with_beeper(
    samples: Callable[[int], Samples], sounding: Callable[[int, int], Sequence[tuple[int, int]]]
) -> Callable[[int], Samples]:
    """The same, and over it the camera's own beeper. `sounding` says from when to when it sounded
    between two times, in nanoseconds of the world."""

    def heard(number: int) -> Samples:
        first = number * SAMPLES_PER_FRAME
        start_ns, end_ns = (n * SECOND_NS // RATE for n in (first, first + SAMPLES_PER_FRAME))
        mixed = samples(number)
        for on_ns, off_ns in sounding(start_ns, end_ns):
            at = (first + np.arange(SAMPLES_PER_FRAME)) / RATE
            on = (at * SECOND_NS >= on_ns) & (at * SECOND_NS < off_ns)
            mixed = mixed + on * BEEPER_LEVEL * np.sin(2 * np.pi * BEEPER_HZ * at)
        return mixed.astype(np.float32)

    return heard


def silence(number: int) -> Samples:
    return np.zeros(SAMPLES_PER_FRAME, np.float32)


def _speech(t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Four syllables a second with pauses: a buzz whose overtones peak at a vowel's formants."""
    syllable = np.floor(t * 4).astype(np.int64)
    spoken = (syllable // 6) % 3 != 2
    envelope = np.sin(np.pi * (t * 4 % 1)) ** 2 * spoken
    pitch = 115 + 12 * np.sin(2 * np.pi * 0.35 * t)
    vowels = np.array(VOWELS, dtype=np.float64)[(syllable * 7 + syllable // 5) % len(VOWELS)]
    voice = np.zeros_like(t)
    for overtone in range(1, 24):
        hertz = overtone * pitch
        weight = sum(np.exp(-(((hertz - vowels[:, i]) / 130) ** 2)) for i in range(2))
        voice += (0.05 / overtone + weight * 0.16) * np.sin(2 * np.pi * 115 * overtone * t)
    voiced: npt.NDArray[np.float64] = voice * envelope
    return voiced
