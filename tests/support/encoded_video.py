"""H.264 as real encoders make it, as access units; signed as a camera does; as files."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import av
import numpy as np

from bwv_device.camera.recording.video_signer import SigningChain, VideoSigner, video_vendor
from bwv_device.formats.media.h264 import nal_units, parameter_sets
from hal.annex_b import from_annex_b
from hal.ports import SECOND_NS, AccessUnit, Track
from sim.world.test_keys import FOUNDED, BenchAgency

FPS = 30
# After the bench's agency was founded.
BEGAN_UTC_NS = int(FOUNDED.timestamp()) * SECOND_NS + 90 * 86_400 * SECOND_NS


@cache
def encoded(
    pictures: int = 90,
    *,
    gop: int = 30,
    slices: int = 1,
    b_frames: int = 0,
    delimiters: bool = False,
) -> tuple[AccessUnit, ...]:
    """Moving stripes through libx264, in decoding order; parameter sets before each keyframe."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = 320, 240, "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, FPS), Fraction(FPS)
    parameters = f"slices={slices}:scenecut=0:repeat-headers=1:aud={int(delimiters)}"
    codec.options = {"g": str(gop), "bf": str(b_frames), "x264-params": parameters}
    stripes = np.tile(np.arange(320, dtype=np.uint8)[None, :, None], (240, 1, 3))
    packets = []
    for number in range(pictures):
        picture = np.ascontiguousarray(np.roll(stripes, number * 3, axis=1))
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        frame.pts = number
        packets += codec.encode(frame)
    packets += codec.encode(None)
    return tuple(
        AccessUnit(
            Track.VIDEO,
            at * SECOND_NS // FPS,
            SECOND_NS // FPS,
            packet.is_keyframe,
            from_annex_b(bytes(packet)),
        )
        for at, packet in enumerate(packets)
    )


def signed(
    agency: BenchAgency, units: Sequence[AccessUnit], chain: SigningChain | None = None
) -> list[AccessUnit]:
    """One segment."""
    sets = parameter_sets(units[0].data)
    vendor = video_vendor(agency.device.device, sets)
    signer = VideoSigner(chain or SigningChain(), agency.device, vendor, BEGAN_UTC_NS)
    made = [signer.take(unit) for unit in units]
    return [*made[:-1], signer.finish(made[-1])]


def nals(units: Sequence[AccessUnit]) -> list[bytes]:
    return [nal for unit in units for nal in nal_units(unit.data)]


def annex_b(units: Sequence[AccessUnit]) -> bytes:
    return b"".join(b"\x00\x00\x00\x01" + nal for nal in nals(units))
