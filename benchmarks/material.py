"""What is recorded: real footage, looped and scaled to 1080p30 at 8 Mbit/s or less, as units."""

from __future__ import annotations

import pickle
import subprocess
from pathlib import Path
from typing import NamedTuple

import av

from bwv_device.formats.media.h264 import SPS, nal_units
from hal.ports import SECOND_NS, AccessUnit, AudioFormat, Track, VideoFormat

CACHE = Path(".cache/bench")
CLIP = Path("../shared/clips/bigbuckbunny.mp4")
SECONDS = 60


class Kind(NamedTuple):
    """Of picture, at 30 a second."""

    width: int
    height: int
    bitrate_mbps: int


FULL_HD, HD = Kind(1920, 1080, 8), Kind(1280, 720, 4)


def clip(seconds: int = SECONDS, kind: Kind = FULL_HD) -> Path:
    """An MP4 with one-second closed groups of pictures and AAC. Without the footage in ../shared
    a test picture of ffmpeg's stands in."""
    CACHE.mkdir(parents=True, exist_ok=True)
    drawn = "real" if CLIP.exists() else "drawn"
    path = CACHE / f"clip-{seconds}-{kind.height}p-{drawn}.mp4"
    if path.exists():
        return path
    source = ["-stream_loop", "-1", "-i", str(CLIP)]
    if not CLIP.exists():
        source = ["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30"]
    sound = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
    scale = f"scale={kind.width}:{kind.height},fps=30"
    encode = ["-vf", scale, "-c:v", "libx264", "-preset", "veryfast"]
    bitrate = f"{kind.bitrate_mbps}M"
    rate = ["-b:v", bitrate, "-minrate", bitrate, "-maxrate", bitrate, "-bufsize", bitrate]
    group = ["-x264-params", "keyint=30:min-keyint=30:scenecut=0:bframes=0:nal-hrd=cbr"]
    tracks = ["-map", "0:v", "-map", "1:a", "-c:a", "aac", "-ac", "1", "-b:a", "64k"]
    command = ["ffmpeg", "-v", "error", "-y", *source, *sound, *encode, *rate, *group, *tracks]
    subprocess.run([*command, "-t", str(seconds), str(path)], check=True)
    return path


def units(seconds: int = SECONDS, kind: Kind = FULL_HD) -> Path:
    """The clip's units and formats, pickled for the measured process."""
    path = clip(seconds, kind).with_suffix(".units")
    if path.exists():
        return path
    made: list[AccessUnit] = []
    with av.open(str(clip(seconds, kind))) as container:
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
    path.write_bytes(pickle.dumps((video_format(kind), sound, made)))
    return path


def video_format(kind: Kind) -> VideoFormat:
    bitrate_bps = kind.bitrate_mbps * 1_000_000
    return VideoFormat(kind.width, kind.height, 30, bitrate_bps, "libx264 veryfast")


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
