"""The process that owns the microphone: PyAudio in callback mode, AAC by PyAV.

PortAudio's blocking read hangs when a card is pulled out, and its list of cards is made once: so
there is a callback that only queues, and a process that ends when callbacks stop coming.
"""

from __future__ import annotations

import contextlib
import os
import queue
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import av
import pyaudio

from hal.ports import SECOND_NS, AccessUnit, Track
from hal.rpi.capture.child_output import Outlet, listen, own_pipe
from hal.rpi.capture.microphone import RATE_HZ, SAMPLES_PER_FRAME, SPECIFIC_CONFIG
from hal.rpi.capture.pipe_messages import Kind
from hal.rpi.capture.sample_clock import LostSoundError, SampleClock
from hal.rpi.capture.sound_watch import SoundWatch

BLOCK = 960  # samples of a callback: 20 ms
SILENT_S = 0.5
# Callbacks that wait; a process that hangs for so long is restarted anyway.
WAITING = 500

BYTES_PER_SAMPLE = 2


class Block(NamedTuple):
    at_ns: int
    data: bytes
    overflow: bool


class Unusable(Exception):
    """Why there is no sound, in words for the ledger."""


class Listener:
    """The card. Blocks come out in order; what its queue has no room for shows as a loss in
    time."""

    def __init__(self, name: str) -> None:
        self._blocks: queue.Queue[Block] = queue.Queue(WAITING)
        # Cards without 48 kHz: ALSA converts (PortAudio, pa_linux_alsa.c, "PA_ALSA_PLUGHW").
        os.environ["PA_ALSA_PLUGHW"] = "1"
        with _quiet():
            self._audio = pyaudio.PyAudio()
        self.device = self._find(name)
        try:
            with _quiet():
                self._stream = self._audio.open(
                    RATE_HZ,
                    1,
                    pyaudio.paInt16,
                    input=True,
                    input_device_index=self.device["index"],
                    frames_per_buffer=BLOCK,
                    stream_callback=self._callback,
                )
        except (OSError, ValueError) as error:
            raise Unusable(f"the microphone can't be opened: {error}") from None

    def _find(self, name: str) -> dict[str, Any]:
        try:
            if not name:
                return dict(self._audio.get_default_input_device_info())
            count = self._audio.get_device_count()
            infos = [dict(self._audio.get_device_info_by_index(i)) for i in range(count)]
        except OSError:
            raise Unusable("there is no microphone") from None
        for info in infos:
            if name.lower() in str(info["name"]).lower() and info["maxInputChannels"] > 0:
                return info
        raise Unusable("the microphone of the configuration is not there")

    def _callback(
        self, data: bytes | None, frames: int, times: object, status: int
    ) -> tuple[None, int]:
        """On PortAudio's thread: the time first, then nothing that can wait or raise."""
        block = Block(time.monotonic_ns(), data or b"", bool(status & pyaudio.paInputOverflow))
        with contextlib.suppress(queue.Full):
            self._blocks.put_nowait(block)
        return None, pyaudio.paContinue

    def blocks(self) -> Iterator[Block]:
        while True:
            try:
                yield self._blocks.get(timeout=SILENT_S)
            except queue.Empty:
                raise Unusable("the microphone went silent: unplugged?") from None


class Encoder:
    """Samples in, AAC units out, each with the time at which it was heard."""

    def __init__(self, bitrate_bps: int, clock: SampleClock) -> None:
        encoder = av.CodecContext.create("aac", "w")
        assert isinstance(encoder, av.AudioCodecContext)
        encoder.sample_rate, encoder.bit_rate = RATE_HZ, bitrate_bps
        encoder.layout, encoder.format = "mono", "fltp"
        encoder.time_base = Fraction(1, RATE_HZ)
        encoder.open()
        if not bytes(encoder.extradata or b"").startswith(SPECIFIC_CONFIG):
            raise Unusable("the AAC encoder is not the one that is declared")
        self._encoder, self._clock = encoder, clock
        self._converter = av.AudioResampler(format="fltp", layout="mono", rate=RATE_HZ)
        self._rest = b""
        self._fed = 0

    def feed(self, samples: bytes) -> Iterator[AccessUnit]:
        """`samples`: 16 bit, of this machine's byte order."""
        self._rest += samples
        size = SAMPLES_PER_FRAME * BYTES_PER_SAMPLE
        while len(self._rest) >= size:
            block, self._rest = self._rest[:size], self._rest[size:]
            frame = av.AudioFrame("s16", "mono", SAMPLES_PER_FRAME)
            frame.planes[0].update(block)
            frame.sample_rate, frame.pts = RATE_HZ, self._fed
            self._fed += SAMPLES_PER_FRAME
            for wave in self._converter.resample(frame):
                for packet in self._encoder.encode(wave):
                    # The encoder's delay comes out as one packet before time zero.
                    if packet.pts is not None and packet.pts >= 0:
                        yield self._unit(packet.pts, bytes(packet))

    def _unit(self, sample: int, data: bytes) -> AccessUnit:
        pts_ns = self._clock.time_ns(sample)
        duration_ns = SAMPLES_PER_FRAME * SECOND_NS // RATE_HZ
        return AccessUnit(Track.AUDIO, pts_ns, duration_ns, True, data)


def capture(asked: dict[str, Any], outlet: Outlet) -> None:
    """Until there is a reason not to: `Unusable`."""
    listener = Listener(asked["device"])
    clock = SampleClock(RATE_HZ, asked["latency_ms"] * 1_000_000)
    encoder = Encoder(asked["bitrate_bps"], clock)
    watch = SoundWatch(lambda what, present: outlet.say(Kind.IMPAIRED, what=what, present=present))
    name = str(listener.device["name"])[:100]
    outlet.say(Kind.READY, device=name, rate_hz=RATE_HZ, facts=[f"microphone {name}"])
    for block in listener.blocks():
        count = len(block.data) // BYTES_PER_SAMPLE
        try:
            missing = clock.feed(block.at_ns, count, overflow=block.overflow)
        except LostSoundError as error:
            raise Unusable(str(error)) from None
        if missing or block.overflow:
            outlet.lost(Track.AUDIO, -(-missing // SAMPLES_PER_FRAME), "sound overflow")
        watch.feed(block.data, block.at_ns / 1e9)
        for unit in encoder.feed(bytes(missing * BYTES_PER_SAMPLE) + block.data):
            outlet.unit(unit)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """alsa-lib and JACK write dozens of lines about cards that nobody asked for."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def main() -> None:
    pipe = own_pipe()
    asked = listen(lambda message: None)
    outlet = Outlet(pipe, asked["batch_ms"] * 1_000_000)
    try:
        capture(asked, outlet)
    except Unusable as reason:
        outlet.say(Kind.FAILED, reason=str(reason)[:200])
    except Exception as error:  # whatever it is, it is said, and the process ends
        outlet.say(Kind.FAILED, reason=f"the microphone can't be used: {error}"[:200])
    outlet.close()
    os._exit(0)  # PortAudio's own end may hang on a card that is gone


if __name__ == "__main__":
    main()
