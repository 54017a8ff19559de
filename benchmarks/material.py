"""What is recorded: real footage, looped and scaled to 1080p30 at 8 Mbit/s, as units."""

from __future__ import annotations

import pickle
import subprocess
from pathlib import Path

import av

from bwv_device.formats.media.h264 import SPS, nal_units
from hal.ports import SECOND_NS, AccessUnit, AudioFormat, Track, VideoFormat

CACHE = Path(".cache/bench")
CLIP = Path("../shared/clips/bigbuckbunny.mp4")
SECONDS = 60
VIDEO = VideoFormat(1920, 1080, 30, 8_000_000, "libx264 veryfast")


def clip(seconds: int = SECONDS) -> Path:
    """An MP4 with one-second closed groups of pictures and AAC. Without the footage in ../shared
    a test picture of ffmpeg's stands in."""
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"clip-{seconds}-{'real' if CLIP.exists() else 'drawn'}.mp4"
    if path.exists():
        return path
    source = ["-stream_loop", "-1", "-i", str(CLIP)]
    if not CLIP.exists():
        source = ["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30"]
    sound = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
    encode = ["-vf", "scale=1920:1080,fps=30", "-c:v", "libx264", "-preset", "veryfast"]
    rate = ["-b:v", "8M", "-minrate", "8M", "-maxrate", "8M", "-bufsize", "8M"]
    group = ["-x264-params", "keyint=30:min-keyint=30:scenecut=0:bframes=0:nal-hrd=cbr"]
    tracks = ["-map", "0:v", "-map", "1:a", "-c:a", "aac", "-ac", "1", "-b:a", "64k"]
    command = ["ffmpeg", "-v", "error", "-y", *source, *sound, *encode, *rate, *group, *tracks]
    subprocess.run([*command, "-t", str(seconds), str(path)], check=True)
    return path


def units(seconds: int = SECONDS) -> Path:
    """The clip's units and formats, pickled for the measured process."""
    path = clip(seconds).with_suffix(".units")
    if path.exists():
        return path
    made: list[AccessUnit] = []
    with av.open(str(clip(seconds))) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        extradata = bytes(video.codec_context.extradata or b"")
        sets = _parameter_sets(extradata)
        sound = AudioFormat(48_000, 1, 64_000, bytes(audio.codec_context.extradata or b""))
        for packet in container.demux(video, audio):
            if packet.pts is None or packet.pts < 0:
                continue
            assert packet.time_base is not None
            pts_ns = int(packet.pts * packet.time_base * SECOND_NS)
            length_ns = int((packet.duration or 0) * packet.time_base * SECOND_NS)
            data = bytes(packet)
            if packet.stream is video:
                key = packet.is_keyframe
                if key and not any(unit[0] & 31 == SPS for unit in nal_units(data)):
                    data = sets + data
                made.append(AccessUnit(Track.VIDEO, pts_ns, length_ns, key, data))
            else:
                made.append(AccessUnit(Track.AUDIO, pts_ns, length_ns, True, data))
    made.sort(key=lambda unit: unit.pts_ns)
    path.write_bytes(pickle.dumps((VIDEO, sound, made)))
    return path


def _parameter_sets(avcc: bytes) -> bytes:
    """SPS and PPS of an avcC record, with four-byte lengths."""
    out, at = b"", 6
    for count in (avcc[5] & 31, None):
        number = count if count is not None else avcc[at]
        at += 0 if count is not None else 1
        for _ in range(number):
            length = int.from_bytes(avcc[at : at + 2], "big")
            out += length.to_bytes(4, "big") + avcc[at + 2 : at + 2 + length]
            at += 2 + length
    return out
