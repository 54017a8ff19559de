"""Reads a film of any container for what is signed inside of it, in a process of its own
(`media_child`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import av
from cryptography import x509

from bwv_device.errors import ClipError
from bwv_device.verification.video_signatures import VideoJudge, VideoVerdict

START_CODE = re.compile(rb"\x00\x00\x01")
REMEDY = "Give a film with H.264 pictures, as the camera encoded them."


def judge_film(
    film: Path,
    roots: Sequence[x509.Certificate],
    advance: Callable[[float], None] = lambda at_s: None,
) -> VideoVerdict:
    """MP4, MKV, MPEG-TS, or H.264 as it is. Raises `ClipError`."""
    judge = VideoJudge(roots)
    with av.open(str(film)) as source:
        if not source.streams.video:
            raise ClipError(f"{film.name} has no pictures.", REMEDY)
        if len(source.streams.video) > 1:
            raise ClipError(
                f"{film.name} has {len(source.streams.video)} tracks of pictures: players choose "
                "one, and only one was judged.", "Give a film with one track of pictures."
            )  # fmt: skip
        video = source.streams.video[0]
        if video.codec_context.name != "h264":
            raise ClipError(f"{film.name} has pictures of another kind.", REMEDY)
        sets, length_size = _configuration(bytes(video.codec_context.extradata or b""))
        for nal in sets:
            judge.take(nal)
        for packet in source.demux(video):
            data = bytes(packet)
            if packet.pts is not None and packet.time_base is not None:
                advance(float(packet.pts * packet.time_base))
            for nal in _with_lengths(data, length_size) if length_size else _between_codes(data):
                judge.take(nal)
    return judge.finish()


def _configuration(extradata: bytes) -> tuple[list[bytes], int]:
    """Parameter sets, and how long each NAL unit's length is; 0 for start codes (ISO 14496-15,
    5.3.3.1)."""
    if not extradata.startswith(b"\x01") or len(extradata) < 7:
        return list(_between_codes(extradata)), 0
    sets, at = list[bytes](), 5
    for mask in (0x1F, 0xFF):
        count, at = extradata[at] & mask if at < len(extradata) else 0, at + 1
        for _ in range(count):
            length = int.from_bytes(extradata[at : at + 2], "big")
            sets.append(extradata[at + 2 : at + 2 + length])
            at += 2 + length
    return sets, (extradata[4] & 3) + 1


def _with_lengths(data: bytes, size: int) -> Iterator[bytes]:
    at = 0
    while at + size <= len(data):
        end = at + size + int.from_bytes(data[at : at + size], "big")
        yield data[at + size : end]
        at = end


def _between_codes(data: bytes) -> Iterator[bytes]:
    starts = [match.end() for match in START_CODE.finditer(data)]
    for start, following in pairwise([*starts, len(data) + 3] if starts else []):
        yield data[start : following - 3].rstrip(b"\x00")
