"""`hal.ports.Microphone` over a process that owns PyAudio (hal.rpi.capture.microphone_child)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hal.ports import AudioFormat, Clock, Track, UnitSink
from hal.rpi.capture.capture_process import Allowance, CaptureChild, Patience, python_command

MODULE = "hal.rpi.capture.microphone_child"
RATE_HZ = 48_000
SAMPLES_PER_FRAME = 1024
# ISO/IEC 14496-3: AAC LC, 48 kHz, one channel.
SPECIFIC_CONFIG = bytes.fromhex("1188")


class MicrophoneRequest(NamedTuple):
    bitrate_bps: int
    device: str = ""  # part of the card's name; "" takes the default
    batch_ms: int = 250
    latency_ms: int = 0


class RpiMicrophone:
    def __init__(
        self,
        asked: MicrophoneRequest,
        clock: Clock,
        interpreter: str = "",
        patience: Patience = Patience(),
        command: list[str] | None = None,
        opened: Callable[[dict[str, Any]], None] = lambda fields: None,
    ) -> None:
        self._format = AudioFormat(RATE_HZ, 1, asked.bitrate_bps, SPECIFIC_CONFIG)
        self.child = CaptureChild(
            Track.AUDIO,
            command or python_command(MODULE, interpreter),
            asked._asdict(),
            Allowance(4 * RATE_HZ // SAMPLES_PER_FRAME, 1 << 20, burst_s=10),
            clock,
            patience,
            opened,
        )

    @property
    def format(self) -> AudioFormat:
        return self._format

    def start(self, sink: UnitSink) -> None:
        self.child.start(sink)

    def stop(self) -> None:
        self.child.stop()
