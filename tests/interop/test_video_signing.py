"""Films of a camera with real pictures, as other tools give them on, judged by `bwv video-verify`,
and by ONVIF's own validator where one is at hand.

That one is no part of this repository. `BWV_ONVIF_VALIDATOR` names a command that takes a root
certificate (PEM) and a file of H.264 with start codes; it ends with 0 where all pictures are
authentic, the certificate leads to the root, and no picture is pending.
"""

from __future__ import annotations

import os
import random
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from support.camera_bench import make_camera
from support.warm_bwv import bwv

from bwv_device import keys
from bwv_device.verification.export import export
from bwv_device.verification.vault_report import survey
from hal.simulated.power_dock_and_place import StubStills
from sim.media.scene import Scene
from sim.media.sound import Sound, street
from sim.world.test_keys import BenchAgency
from sim.world.world import EPOCH_UTC_NS, Media

VALIDATOR = shlex.split(os.environ.get("BWV_ONVIF_VALIDATOR", ""))
FLIPS = 300
SIZE = (320, 240, 10, 300_000)
GENUINE, EXCEPTION, FALSE = 0, 26, 10


class Films(NamedTuple):
    """A recording of 25 s in three segments: each as the camera wrote it, and the joined film."""

    root: Path
    segments: list[Path]
    film: Path


@pytest.fixture(scope="module")
def films(agency: BenchAgency, tmp_path_factory: pytest.TempPathFactory) -> Films:
    folder = tmp_path_factory.mktemp("films")
    scene = Scene(*SIZE, EPOCH_UTC_NS)
    it = make_camera(
        agency,
        media=Media(scene, Sound(street, 64_000), StubStills()),
        recording={"pre_event_s": 5, "segment_s": 10},
        video={"width": 320, "height": 240, "fps": 10, "bitrate_kbps": 300},
    )
    it.run(seconds=8)
    it.press_record_twice()
    it.run(seconds=20)
    it.hold_record()
    it.run(seconds=3)
    it.shut_down()
    scene.close()
    it.disk.dump(folder / "vault")
    root = folder / "root.pem"
    root.write_bytes(agency.files[keys.ROOT])
    for native in (True, False):
        surveyed = survey(folder / "vault", [agency.root])
        export(surveyed, agency.identities, folder / f"native {native}", native=native)
    segments = sorted((folder / "native True").glob("*.mp4"))
    assert len(segments) == 3
    (film,) = (folder / "native False").glob("*.mp4")
    return Films(root, segments, film)


def copied(source: Path, out: Path, *words: str) -> Path:
    command = ["ffmpeg", "-v", "error", "-y", "-i", source, *words, "-an", "-c", "copy", out]
    subprocess.run(command, check=True)
    return out


def pictures(film: Path) -> list[str]:
    """Digests of what a player shows."""
    command = ["ffmpeg", "-v", "quiet", "-i", film, "-an", "-f", "framemd5", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    return [line.rpartition(",")[2].strip() for line in lines]


def judged(films: Films, film: Path) -> int:
    done = bwv("video-verify", film, "--root", films.root)
    assert done.returncode in (GENUINE, EXCEPTION, FALSE), done.stderr
    return done.returncode


def what_is_genuine(films: Films, folder: Path) -> list[Path]:
    """Everything that must verify, whatever tool made it."""
    made = [*films.segments, films.film]
    made += [copied(films.film, folder / f"film.{kind}") for kind in ("mp4", "mkv", "ts", "h264")]
    made.append(copied(films.film, folder / "cut.mp4", "-ss", "12"))
    joined = folder / "joined.h264"
    parts = [copied(path, folder / f"{n}.h264") for n, path in enumerate(films.segments)]
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    return [*made, joined]


def test_whatever_tool_gives_it_on_it_is_genuine(films: Films, tmp_path: Path) -> None:
    assert [judged(films, film) for film in what_is_genuine(films, tmp_path)] == [GENUINE] * 10


def test_what_was_made_of_it_is_not(films: Films, tmp_path: Path) -> None:
    encoded_anew = tmp_path / "anew.mp4"
    command = ["ffmpeg", "-v", "error", "-i", films.film, "-vf", "negate", encoded_anew]
    subprocess.run(command, check=True)
    assert judged(films, encoded_anew) == FALSE
    parts = [copied(path, tmp_path / f"{n}.h264") for n, path in enumerate(films.segments)]
    wanting = tmp_path / "wanting.h264"
    wanting.write_bytes(parts[0].read_bytes() + parts[2].read_bytes())
    assert judged(films, wanting) == EXCEPTION, "ten seconds are missing, and it says so"
    assert judged(films, copied(films.film, tmp_path / "end.mp4", "-t", "7.35")) == EXCEPTION


def test_it_plays_as_it_did(films: Films, tmp_path: Path) -> None:
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", films.film, "-f", "null", "-"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""


@pytest.mark.parametrize("junk", ["nothing", "text", "pipe", "folder"])
def test_junk_is_one_sentence(junk: str, films: Films, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    if junk == "text":
        path.write_text("no film")
    elif junk == "pipe":
        os.mkfifo(path)
    elif junk == "folder":
        path.mkdir()
    done = bwv("video-verify", path, "--root", films.root)
    assert done.returncode == 4
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(not VALIDATOR, reason="BWV_ONVIF_VALIDATOR is not set")
def test_the_reference_validator_agrees(films: Films, tmp_path: Path) -> None:
    def accepts(film: Path) -> bool:
        stream = film if film.suffix == ".h264" else copied(film, tmp_path / "one.h264")
        return subprocess.run([*VALIDATOR, films.root, stream], check=False).returncode == 0

    assert all(accepts(film) for film in what_is_genuine(films, tmp_path))
    whole = copied(films.film, tmp_path / "whole.h264").read_bytes()
    shown = pictures(films.film)
    draws, flipped, missed = random.Random(3), tmp_path / "flipped.h264", 0
    for _ in range(FLIPS):
        changed = bytearray(whole)
        changed[draws.randrange(len(changed))] ^= 1 << draws.randrange(8)
        flipped.write_bytes(changed)
        if accepts(flipped):
            missed += 1  # of parameter sets, which it does not cover, or of an encoder's remarks
            assert judged(films, flipped) != GENUINE or pictures(flipped) == shown
    assert missed < FLIPS // 20
