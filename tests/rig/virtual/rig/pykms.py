"""picamera2 imports pykms for a screen; the rig has none."""


class PixelFormat:
    RGB888 = BGR888 = XBGR8888 = XRGB8888 = YUV420 = YVU420 = NV12 = MJPEG = None


class Card:
    def __init__(self, *_: object) -> None:
        raise RuntimeError("the rig has no screen")
