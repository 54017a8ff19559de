"""Converts one keyframe to JPEG with PyAV. Loaded only when a snapshot is taken."""

from __future__ import annotations

import io

from hal.ports import AccessUnit


class PyavStills:
    """`hal.ports.StillEncoder`."""

    def jpeg(self, keyframe: AccessUnit) -> bytes:
        """Raises `ValueError` when the picture can't be decoded."""
        import av

        decoder = av.CodecContext.create("h264", "r")
        assert isinstance(decoder, av.VideoCodecContext)
        try:
            frames = [
                *decoder.decode(av.Packet(_annex_b(keyframe.data))),
                *decoder.decode(None),
            ]
        except av.FFmpegError as error:
            raise ValueError(f"the keyframe does not decode: {error}") from None
        if not frames:
            raise ValueError("the keyframe holds no picture")
        with io.BytesIO() as buffer, av.open(buffer, "w", format="image2pipe") as container:
            stream = container.add_stream("mjpeg", rate=1)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height = frames[0].width, frames[0].height
            stream.pix_fmt = "yuvj420p"
            stream.options = {"qscale": "3"}
            for packet in [*stream.encode(frames[0].reformat(format="yuvj420p")), *stream.encode()]:
                container.mux(packet)
            return buffer.getvalue()


def _annex_b(data: bytes) -> bytes:
    """NAL units behind start codes, as decoders without extradata want them."""
    out, position = [], 0
    while position + 4 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        out.append(b"\x00\x00\x00\x01" + data[position + 4 : position + 4 + length])
        position += 4 + length
    return b"".join(out)
