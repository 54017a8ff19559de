"""Asks an encoder for a keyframe, whatever version of picamera2 it comes from.

picamera2 has `force_key_frame` since 0.3.32; Raspberry Pi OS bookworm stays at 0.3.31. There the
kernel's own control does the same (V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME, videodev2.h). If neither
works, the encoder's next regular keyframe has to do: it comes within a second.
"""

from __future__ import annotations

import fcntl
import struct
from collections.abc import Callable
from typing import Any

VIDIOC_S_CTRL = 0xC008561C  # _IOWR('V', 28, struct v4l2_control)
FORCE_KEY_FRAME = 0x009909E5  # V4L2_CID_CODEC_BASE + 229


def request_keyframe(encoder: Any, ioctl: Callable[..., Any] = fcntl.ioctl) -> bool:
    """Whether a keyframe was asked for. Never raises: no keyframe is worth the camera's process."""
    try:
        force = getattr(encoder, "force_key_frame", None)
        if force is not None:
            force()
            return True
        device = getattr(encoder, "vd", None)
        if device is None:
            return False
        ioctl(device, VIDIOC_S_CTRL, struct.pack("=Ii", FORCE_KEY_FRAME, 1))
    except Exception:
        return False
    return True
