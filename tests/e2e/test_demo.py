"""`bwv demo`, with the scene and with clips, good and bad."""

from __future__ import annotations

import json
import os
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from test_cli import started_bwv as bwv

from bwv_device import keys
from bwv_device.verification.second_verifier import Judge


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "demo-shift"
    done = bwv("demo", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "verified" in done.stdout
    assert "index.html" in done.stdout
    return out


def test_it_leaves_what_the_readme_says(demo: Path) -> None:
    assert {path.name for path in demo.iterdir()} == {
        *("vault", "keys", "export", "evidence", "disclosure", "report.json", "index.html"),
        "bwv-demo",
    }
    assert "demo" in (demo / "keys" / "README.txt").read_text().lower()


def test_the_report_tells_the_shift(demo: Path) -> None:
    report = json.loads((demo / "report.json").read_text())
    assert report["verification"]["complete"] is True
    assert [film["statuses"] for film in report["recordings"]] == [
        *("sealed", "recovered", "sealed")
    ]
    for film in report["recordings"]:
        assert film["pictures"] == film["decoded"] > 500
        assert (demo / film["path"]).exists()
        assert (demo / film["thumbnail"]).stat().st_size > 5_000
    assert [t["to"] for t in report["transitions"]].count("recording") == 3
    assert "power cut" in [h["what"] for h in report["happenings"]]


def test_the_page_holds_together(demo: Path) -> None:
    page = (demo / "index.html").read_text()
    report = json.loads((demo / "report.json").read_text())
    for film in report["recordings"]:
        assert film["path"] in page
    assert "nothing was changed" in page
    assert page.count("<rect") > 12


def test_the_page_tells_what_became_of_the_footage(demo: Path) -> None:
    report = json.loads((demo / "report.json").read_text())
    custody, page = report["custody"], (demo / "index.html").read_text()
    assert custody["erased"] == ["demo-camera-1/00000002-0001"]
    assert custody["certificate"]["age_days"] == 32
    assert custody["request"]["held"] == ["demo-camera-1/00000001-0002"]
    assert custody["problems"] == []
    for word in ("is held", "member of the public", "is hidden", "is erased", "is disclosed"):
        assert word in page
    left = {path.parent.name[:13] for path in demo.glob("evidence/footage/*/*/*")}
    assert left == {"00000001-0001", "00000001-0002"}
    assert not list((demo / "vault" / "footage").glob("*")), "the camera forgot what it delivered"
    assert (demo / "disclosure" / "report.html").exists()
    assert "disclosure/00000001-0001.mp4" in page


@pytest.mark.ci
def test_over_a_real_s3_server(tmp_path: Path) -> None:
    done = bwv("demo", "--s3", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["custody"]["erased"] == []
    assert "AccessDenied" in report["custody"]["denied"][0], "locked by the server's own clock"
    assert report["custody"]["problems"] == []


def test_go_age_opens_it_with_the_command_of_the_page(demo: Path, tools: Path) -> None:
    sealed = next(demo.glob("evidence/footage/demo-camera-1/00000001-0001-0001.mp4.age/*"))
    done = subprocess.run(
        [tools / "bin" / "age", "-d", "-i", demo / "keys" / keys.IDENTITY, sealed],
        capture_output=True,
        check=True,
    )
    assert done.stdout[4:8] == b"ftyp"


def test_the_second_verifier_agrees(demo: Path) -> None:
    roots = keys.load_certificates(demo / "keys" / keys.ROOT)
    assert Judge(demo / "vault", roots).judge() == "whole"


def test_it_replaces_its_own_folder_and_leaves_others_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("x")
    done = bwv("demo", "--out", tmp_path / "mine")
    assert done.returncode == 6
    assert (tmp_path / "mine" / "precious.txt").exists()


def make_clip(path: Path, seconds: int = 2, *, sound: bool = True, picture: bool = True) -> Path:
    with av.open(str(path), "w") as container:
        if picture:
            video = container.add_stream("libx264", rate=25)
            video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        if sound:
            audio = container.add_stream("aac", rate=44_100)
        for number in range(25 * seconds if picture else 0):
            image = np.full((180, 320, 3), number * 5 % 255, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        for number in range(43 * seconds if sound else 0):
            samples = np.sin(np.arange(1024) / 9).astype(np.float32)[None] * 0.1
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44_100, number * 1024
            container.mux(audio.encode(frame))
        for stream in container.streams:
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("sound", [True, False])
def test_any_clip_is_filmed(sound: bool, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", sound=sound)
    done = bwv("demo", "--clip", clip, "--out", tmp_path / "out", "--recipient-type", "X25519")
    assert done.returncode == 0, done.stderr
    sealed = next((tmp_path / "out").glob("evidence/footage/*/00000001-0001-0001.mp4.age/*"))
    opened = subprocess.run(
        ["age", "-d", "-i", tmp_path / "out" / "keys" / keys.IDENTITY, sealed],
        capture_output=True,
        check=True,
    )
    assert opened.stdout[4:8] == b"ftyp"


def no_video(path: Path) -> None:
    path.write_text("this is a text\n" * 100)


def only_sound(path: Path) -> None:
    make_clip(path, picture=False)


def truncated(path: Path) -> None:
    make_clip(path)
    path.write_bytes(path.read_bytes()[:-6000])


def cut_in_the_stream(path: Path) -> None:
    """A container that survives a cut: the pictures end early."""
    whole = make_clip(path.with_suffix(".mkv"), seconds=8)
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) // 3])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def unreadable(path: Path) -> None:
    """Root reads everything that permissions forbid, but not a link to itself."""
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (no_video, "is not a readable video"),
        (only_sound, "has no video track"),
        (truncated, "is not a readable video"),
        (cut_in_the_stream, "truncated|damaged"),
        (empty, "is not a readable video"),
        (lambda path: None, "is not there"),
        (lambda path: path.mkdir(), "is not a regular file"),
        (os.mkfifo, "is not a regular file"),
        (unreadable, "is not a readable video: Too many levels of symbolic links"),
    ],
    ids=[
        "text",
        "sound only",
        "no index",
        "cut stream",
        "empty",
        "absent",
        "folder",
        "pipe",
        "unreadable",
    ],
)
def test_a_bad_clip_is_one_sentence_and_exit_code_4(
    make: object, sentence: str, tmp_path: Path
) -> None:
    import re

    make(tmp_path / "clip.mp4")
    done = bwv("demo", "--clip", tmp_path / "clip.mp4", "--out", tmp_path / "out")
    assert done.returncode == 4, done.stderr
    assert re.search(sentence, done.stderr)
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not (tmp_path / "out").exists()
