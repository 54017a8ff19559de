"""What libcamera's `virtual` camera lacks and picamera2 takes for granted. Nothing else is touched:
(1) it has no raw stream, (2) its NV12 has two planes in one buffer and picamera2 passes one plane,
(3) before libcamera 0.7 it never fills FrameMetadata, whose status picamera2 looks at, (4) it has
NV12 alone, which picamera2 0.3.31 knows from its hardware encoder only.
"""

from importlib.metadata import version

import libcamera
import picamera2.allocators.dmaallocator as allocator
import picamera2.picamera2 as core

RAW_MODE = {"format": "SRGGB10_CSI2P", "size": (1920, 1080)}


class Replacing:
    """A module with some of its names replaced."""

    def __init__(self, module, **names):
        self._module = module
        self.__dict__.update(names)

    def __getattr__(self, name):
        return getattr(self._module, name)


class FrameBuffer:
    Plane = libcamera.FrameBuffer.Plane

    def __new__(cls, planes):
        if len(planes) == 1:
            luma, chroma = planes[0], cls.Plane()
            whole = luma.length
            chroma.fd, luma.length = luma.fd, whole * 2 // 3
            chroma.offset, chroma.length = luma.offset + luma.length, whole // 3
            planes = [luma, chroma]
        return libcamera.FrameBuffer(planes)


class AnyStatus:
    def __eq__(self, other):
        return True

    __hash__ = None


class FrameMetadata:
    class Status:
        Success = AnyStatus()


allocator.libcamera = Replacing(libcamera, FrameBuffer=FrameBuffer)
core.libcamera = Replacing(libcamera, FrameMetadata=FrameMetadata)
core.Picamera2._get_raw_modes = lambda self: [RAW_MODE]


def know_nv12():
    """For picamera2 0.3.31: NV12 lies in memory as its YUV420 does, for all that is done here."""
    from picamera2 import request
    from picamera2.encoders import LibavH264Encoder

    of_array, start = request.Helpers._make_array_shared, LibavH264Encoder._start

    def as_yuv420(self, array, config):
        return of_array(self, array, {**config, "format": "YUV420"})

    def started(self):
        kept, self._format = self._format, "YUV420"
        start(self)
        self._format, self._av_input_format = kept, "nv12"

    request.Helpers._make_array_shared = as_yuv420
    LibavH264Encoder._start = started


if version("picamera2") == "0.3.31":
    know_nv12()
