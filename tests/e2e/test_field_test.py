"""`bwv check` and `bwv cues` as a field tester runs them, on the simulated board in real time: the
microphone hears the beeper."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from support.camera_bench import Camera

from bwv_device.settings import Recording, Settings
from hal.stills import PyavStills
from sim.media.scene import Scene
from sim.media.sound import Sound, street, with_beeper
from sim.world.test_keys import BenchAgency
from sim.world.world import EPOCH_UTC_NS, Media


def bwv(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bwv_device", *map(str, words)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=dict(os.environ)
    )


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rig")
    bwv("keygen", "agency", folder=folder)
    bwv("provision", "c1", "--agency", "agency", folder=folder)
    return folder


def test_a_good_rig_is_proved(rig: Path) -> None:
    done = bwv("check", "--seconds", 5, "--soak", 0.1, "--out", "report", "--json", folder=rig)
    assert done.returncode == 0, done.stderr
    rows = {(row["part"], row["what"]): row for row in json.loads(done.stdout)}
    # In real time, beside other tests: a machine that is busy may swallow one.
    heard = rows["beeper", "heard by the microphone"]
    assert heard["measured"].startswith(("5 of 5 beeps at 2700 Hz", "4 of 5 beeps at 2700 Hz"))
    assert heard["status"] in ("good", "poor")
    assert rows["camera", "frame rate"]["status"] in ("good", "poor")
    assert rows["front light", "seen in the mirror"]["status"] == "not tested"
    names = {path.name for path in (rig / "report").iterdir()}
    assert names == {"check.mp4", "index.html", "picture.jpg", "sound.png", "storage.png"}
    assert heard["measured"] in (rig / "report" / "index.html").read_text()
    # Nothing is kept: neither in the vault, nor of the one that was recorded into.
    assert list((rig / "vault").rglob("*")) == []
    assert not list(rig.glob("soak-*"))
    soaked = {what: row for (part, what), row in rows.items() if part == "soak"}
    assert len(soaked) == 6
    assert soaked["pictures lost"]["measured"].split()[-1] != "0"
    assert float(soaked["memory, all processes"]["measured"].split()[0]) > 20


def test_a_beeper_that_nobody_hears_is_bad(rig: Path) -> None:
    """The control: the same rig, listening for another tone."""
    done = bwv("check", "--seconds", 4, "--writes", 10, "--tone", 5200, folder=rig)
    assert done.returncode == 16
    assert "0 of 5 beeps" in done.stdout
    assert "pins.beeper" in " ".join(done.stdout.split())


def test_a_key_that_is_missing_says_what_to_do(tmp_path: Path) -> None:
    done = bwv("check", "--seconds", 4, folder=tmp_path)
    assert done.returncode == 5
    assert "bwv provision" in done.stderr


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of 75 virtual seconds; the folder holds vault and out."""
    folder, agency = tmp_path_factory.mktemp("film"), BenchAgency()
    scene = Scene(320, 240, 5, 200_000, EPOCH_UTC_NS)
    sounding: list[Camera] = []
    heard = with_beeper(street, lambda a_ns, b_ns: sounding[0].sounding(a_ns, b_ns))  # noqa: PLW0108
    settings = Settings(recording=Recording(pre_event_audio=True))
    media = Media(scene, Sound(heard, 64_000), PyavStills())
    it = Camera(settings, agency.device, agency.recipients, media=media)
    it.agency = agency
    sounding.append(it)
    it.boot()
    it.run(seconds=5)
    it.press_record_twice()
    it.run(seconds=75)
    it.hold_record()
    it.run(seconds=5)
    it.shut_down()
    it.export(folder)
    scene.close()
    return folder


def test_beeps_in_a_recording_are_where_the_ledger_has_them(film: Path) -> None:
    done = bwv("cues", film / "out" / "00000001-0001.mp4", "--vault", film / "vault", "--json",
               "--plot", film / "plot.png", folder=film)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["tone_hz"] == pytest.approx(2700, abs=30)
    assert [signal["signal"] for signal in found["signals"]] == ["2 short"] * 3
    at_s = [signal["at_s"] for signal in found["signals"]]
    assert [b - a for a, b in pairwise(at_s)] == pytest.approx([30, 30], abs=0.1)
    (cue,) = [cue for cue in found["cues"] if cue["sound"] == "recording started"]
    assert abs(cue["late_ms"]) < 100
    assert (film / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_it_is_said_in_words(film: Path) -> None:
    done = bwv("cues", film / "out" / "00000001-0001.mp4", "--light", folder=film)
    assert "30.0 s" in done.stdout
    assert "No flashing red light is seen." in done.stdout


def test_a_file_that_is_no_film_says_so(film: Path) -> None:
    (film / "text.mp4").write_text("not a film")
    done = bwv("cues", "text.mp4", folder=film)
    assert done.returncode == 4
    assert "is not a readable video" in done.stderr
