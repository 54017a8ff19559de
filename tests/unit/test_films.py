"""Films as players show them: what files bring that nobody promised."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from bwv_device.errors import ClipError
from bwv_device.field_test import hearing
from bwv_device.field_test.films import FilmSound, pictures
from sim.media.clip import LONGEST_S, Clip

FPS = 10


def film(
    path: Path, *, stamps: list[int] | None = None, sound_s: float = 0, rate: int = 48_000,
    codec: str = "libx264", size: tuple[int, int] = (64, 48), late_s: float = 0,
) -> Path:  # fmt: skip
    """Pictures of a tenth of a second each, numbered by their brightness; a tone of 2,700 Hz."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        track = out.add_stream("aac", rate=rate, layout="mono") if sound_s else None
        for number, stamp in enumerate(stamps if stamps is not None else range(20)):
            image = np.full((size[1], size[0], 3), 40 + 8 * (number % 20), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p")
            frame.pts, frame.time_base = stamp, Fraction(1, FPS)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if track:
            length = int(sound_s * rate)
            tone = 0.3 * np.sin(2 * np.pi * 2700 * np.arange(length) / rate)
            for at in range(0, length - 1024, 1024):
                block = tone[None, at : at + 1024].astype(np.float32)
                sound = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
                sound.sample_rate, sound.pts = rate, at + int(late_s * rate)
                sound.time_base = Fraction(1, rate)
                out.mux(track.encode(sound))
            out.mux(track.encode(None))
    return path


def clip(path: Path) -> Clip:
    return Clip(path, 64, 48, FPS, 200_000)


def test_times_count_from_the_films_start(tmp_path: Path) -> None:
    path = film(tmp_path / "late.ts", stamps=list(range(45_000, 45_020)), sound_s=2, late_s=4500)
    assert next(iter(pictures(path))).at_s < 0.2
    sound = FilmSound(path)
    assert hearing.find_tone(sound, sound.rate_hz) == pytest.approx(2700, abs=25)
    assert sound.length_s == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_any_sample_rate_is_heard(rate: int, tmp_path: Path) -> None:
    sound = FilmSound(film(tmp_path / "a.mp4", sound_s=2, rate=rate))
    (beep,) = hearing.beeps(sound, sound.rate_hz, 2700)
    assert beep.duration_s == pytest.approx(2, abs=0.2)


def test_raw_h264_is_taken_whole(tmp_path: Path) -> None:
    path = film(tmp_path / "raw.h264", stamps=list(range(50)))
    assert len(list(pictures(path))) == 50


def test_a_hole_in_the_stamps_is_bounded(tmp_path: Path) -> None:
    path = film(tmp_path / "hole.mkv", stamps=[0, 1, 2, 4000, 4001])
    assert clip(path).seconds == LONGEST_S


def test_stamps_that_jump_by_hours_go_on(tmp_path: Path) -> None:
    path = film(tmp_path / "jump.mkv", stamps=[*range(10), *range(200_000, 200_010)])
    assert [p.at_s for p in pictures(path)][-1] < 3


def test_sound_may_be_longer_than_pictures(tmp_path: Path) -> None:
    whole = clip(film(tmp_path / "a.mp4", sound_s=8))
    assert whole.seconds == 2
    assert np.abs(whole.samples(0)).max() > 0.1


def test_one_damaged_place_costs_itself(tmp_path: Path) -> None:
    path = film(tmp_path / "a.ts", stamps=list(range(60)))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    path.write_bytes(data)
    assert len(list(pictures(path))) > 40


def test_very_flat_pictures_are_taken(tmp_path: Path) -> None:
    path = film(tmp_path / "flat.mkv", codec="ffv1", size=(4000, 2), stamps=[0, 1])
    assert clip(path).seconds == 1


def test_the_last_picture_at_a_full_second_is_shown(tmp_path: Path) -> None:
    assert clip(film(tmp_path / "a.mkv", stamps=[0, 10, 20, 30])).seconds == 4
    assert clip(film(tmp_path / "b.mkv", stamps=list(range(30)))).seconds == 3


@pytest.mark.parametrize("name", ["http:x.mp4", "concat:a|b.mp4", "-i.mp4", "a b.mp4"])
def test_a_name_is_a_file_and_no_protocol(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film(tmp_path / "plain.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(list(pictures(Path(name)))) == 20


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    for path in (Path("/dev/zero"), tmp_path):
        with pytest.raises(ClipError, match="not a regular file"):
            next(pictures(path))


def test_long_sound_is_read_in_pieces(tmp_path: Path) -> None:
    """Two minutes take hardly more memory than one; all at once, they would take twice as much."""
    peaks = []
    for seconds in (60, 120):
        path = film(tmp_path / f"{seconds}.mp4", sound_s=seconds, rate=8_000)
        tracemalloc.start()
        sound = FilmSound(path)
        assert len(hearing.beeps(sound, sound.rate_hz, 2700)) == 1
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
