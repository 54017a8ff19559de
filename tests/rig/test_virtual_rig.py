"""Real libcamera, picamera2, PortAudio and PyAudio on this machine: a shift, and its troubles.

Real libraries on virtual hardware. What the camera sees and the microphone hears is known for every
nanosecond of CLOCK_MONOTONIC, so that times in the film can be compared with the truth.
"""

from __future__ import annotations

import json
import signal
import subprocess
from itertools import pairwise
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pytest
from film import Shown, clicks, pictures
from material import LOOP_S, View
from virtual_rig import Rig, make_root

from hal.rpi.capture.view import overlay

pytestmark = pytest.mark.virtual_rig

CAMERA, MICROPHONE = "hal.rpi.capture.camera_child", "hal.rpi.capture.microphone_child"


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    make_root()
    rig = Rig(tmp_path_factory.mktemp("rig"), View())
    rig.prepare()
    return rig


class Film:
    """An exported recording with the monotonic time of its start."""

    def __init__(self, rig: Rig, recording: str) -> None:
        (item,) = [item for item in rig.export() if item.recording == recording]
        self.path = item.path
        (opened,) = [line for line in rig.ledger("open") if line["recording"] == recording]
        self.start_s = opened["first_pts_ns"] / 1e9
        self.fps = rig.view.fps
        self.shown = pictures(self.path)

    def late_s(self, shown: Shown) -> float:
        """How much later than the truth a picture's time is; the loop's length is not visible."""
        assert shown.number is not None
        return _folded(self.start_s + shown.at_s - shown.number / self.fps, LOOP_S)

    def clicks_late_s(self) -> list[float]:
        return [_folded(self.start_s + at_s, 1) for at_s in clicks(self.path)]


def _folded(value: float, around: float) -> float:
    """Into -around/2 to around/2."""
    return (value + around / 2) % around - around / 2


@pytest.fixture(scope="session")
def shift(rig: Rig) -> Film:
    """Half a minute without trouble."""
    with rig.running() as camera:
        camera.wait_for_word("→ ready")
        camera.type("record")
        camera.wait_for_word("→ recording")
        camera.wait_for_footage(12)
        camera.type("mark")
        camera.type("snapshot")
        camera.wait_for_footage(6)
        camera.type("stop")
        camera.wait_for_line(kind="close")
        assert camera.finish() == 0
    report = rig.verify()
    assert report.ok, report.problems
    return Film(rig, "00000001-0001")


def test_every_picture_is_there_once_and_in_order(shift: Film) -> None:
    numbers = [shown.number for shown in shift.shown]
    assert None not in numbers
    count = LOOP_S * shift.fps
    steps = [(b - a) % count for a, b in pairwise(numbers) if a is not None and b is not None]
    lost = sum(step - 1 for step in steps if step > 1)
    doubled = steps.count(0)
    print(f"{len(numbers)} pictures, {lost} lost, {doubled} doubled")
    assert doubled == 0
    assert lost <= len(numbers) // 50  # this machine also does other things


def test_times_are_the_sensors(shift: Film) -> None:
    late_s = [shift.late_s(shown) for shown in shift.shown]
    print(f"pictures late by {median(late_s) * 1000:.1f} ms, at most {max(late_s) * 1000:.1f}")
    assert abs(median(late_s)) < 0.02
    assert max(map(abs, late_s)) < 0.1


def test_sound_and_picture_belong_together(shift: Film) -> None:
    sound_s = shift.clicks_late_s()
    offset_s = median(sound_s) - median(shift.late_s(shown) for shown in shift.shown)
    print(f"{len(sound_s)} clicks, sound late by {offset_s * 1000:.1f} ms")
    assert len(sound_s) >= 10
    assert abs(offset_s) < 0.04
    assert max(abs(at_s - median(sound_s)) for at_s in sound_s) < 0.02


def test_the_overlay_names_time_and_device(shift: Film) -> None:
    luma = shift.shown[40].luma
    drawn = np.zeros_like(luma)
    overlay.draw(drawn, "rig-1")
    box = cv2.boundingRect((drawn > 100).astype(np.uint8))
    word = drawn[box[1] : box[1] + box[3], box[0] : box[0] + box[2]]
    found = cv2.matchTemplate(luma[:60], word, cv2.TM_CCOEFF_NORMED)
    nothing = cv2.matchTemplate(luma[100:160], word, cv2.TM_CCOEFF_NORMED)
    assert found.max() > 0.55 > nothing.max()


def test_other_tools_play_it(shift: Film) -> None:
    command = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(shift.path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert not done.stderr
    streams = {stream["codec_type"]: stream for stream in json.loads(done.stdout)["streams"]}
    assert (streams["video"]["codec_name"], streams["video"]["profile"]) == ("h264", "Main")
    assert (streams["audio"]["codec_name"], streams["audio"]["sample_rate"]) == ("aac", "48000")


def test_a_still_was_taken(rig: Rig, shift: Film) -> None:
    (still,) = (rig.folder / "out").glob("*.jpg")
    assert cv2.imread(str(still)).shape[:2] == (rig.view.height, rig.view.width)


def test_recording_goes_on_through_every_trouble(rig: Rig) -> None:
    with rig.running() as camera:
        camera.wait_for_word("→ ready")
        camera.type("record")
        camera.wait_for_word("→ recording")
        camera.wait_for_footage(3)

        camera.signal(CAMERA, signal.SIGKILL)
        camera.wait_for_line(kind="gap", reason="capture ended")
        camera.wait_for_footage(3)

        camera.signal(CAMERA, signal.SIGSTOP)
        camera.wait_for_line(kind="gap", reason="capture stalled")
        camera.wait_for_footage(3)

        before = len(rig.ledger())
        camera.fault("camera", "stall")
        camera.wait_for_line(before, kind="fault", reason="no pictures")
        camera.wait_for_line(before, kind="cue", light="capturing, not stored")
        camera.fault("camera", "")
        camera.wait_for_footage(3)

        camera.signal(MICROPHONE, signal.SIGKILL)
        camera.wait_for_footage(2)
        camera.fault("sound", "unplug")
        camera.wait_for_line(kind="gap", reason="the microphone went silent: unplugged?")
        camera.fault("sound", "")
        camera.fault("camera", "covered")
        camera.wait_for_line(kind="fault", part="camera", reason="covered")
        camera.fault("camera", "")
        camera.wait_for_line(kind="fault", part="camera", reason="covered no longer")
        camera.wait_for_footage(3)

        camera.type("stop")
        camera.wait_for_line(kind="close")
        assert camera.finish() == 0
    report = rig.verify()
    assert report.ok, report.problems
    film = Film(rig, "00000001-0001")
    readable = [shown for shown in film.shown if shown.number is not None]
    assert len(readable) > 100
    # No picture behind a gap is mis-timed: each still says when it was taken.
    assert max(abs(film.late_s(shown)) for shown in readable) < 0.1
    # A process that is killed is back so soon that only some pictures are missing.
    holes = [b.at_s - a.at_s for a, b in pairwise(film.shown) if b.at_s - a.at_s > 0.25]
    print("holes:", [f"{hole:.1f} s" for hole in holes])
    assert len(holes) >= 3
    assert max(holes) < 5
    gaps = [line for line in rig.ledger("gap") if line["reason"] == "missing"]
    for hole in holes:
        assert any(abs((g["to_ns"] - g["from_ns"]) / 1e9 - hole) < 0.5 for g in gaps), (hole, gaps)
    assert max(abs(at_s - median(film.clicks_late_s())) for at_s in film.clicks_late_s()) < 0.04


def test_unreadable_pictures_are_an_error_of_the_camera(rig: Rig) -> None:
    """libcamera delivers nothing but errors: a press is refused, with its reason."""
    with rig.running() as camera:
        camera.wait_for_word("→ ready")
        camera.wait_until(lambda: bool(camera.pid_of(CAMERA)), "capture")
        camera.fault("camera", "error")
        camera.wait_for_line(kind="fault", part="camera", reason="no pictures")
        camera.type("record")
        refused = camera.wait_for_line(kind="refused")
        assert refused["conditions"] == ["the camera delivers pictures"]
        camera.fault("camera", "")
        camera.wait_for_line(kind="fault", part="camera", reason="pictures again")
        camera.type("record")
        camera.wait_for_word("→ recording")
        camera.wait_for_footage(2)
        assert camera.finish() == 0
    assert rig.verify().ok


def test_the_field_test_sees_the_lamp_and_misses_the_beeper(rig: Rig) -> None:
    """`bwv check` on the rig: a red lamp flashes in the scene; on mock pins nothing can beep."""
    done = rig.check("--mirror", "--seconds", "6", "--writes", "20", "--soak", "0.2")
    rows = {(row["part"], row["what"]): row for row in json.loads(done.stdout)}
    lamp = rows["front light", "seen in the mirror"]
    assert lamp["status"] == "good", lamp
    assert lamp["measured"].startswith("500 ms on, 500 ms off")
    assert rows["camera", "encoder"]["measured"] == "libx264, 640x480"
    assert abs(float(rows["camera", "frame rate"]["measured"].split()[0]) - rig.view.fps) < 0.5
    assert abs(float(rows["microphone", "sample clock"]["measured"].split()[0])) < 1000
    assert rows["beeper", "heard by the microphone"]["status"] == "bad"
    for what in ("ready after the start", "memory, all processes", "pictures lost"):
        assert rows["soak", what]["status"] in ("good", "poor"), rows["soak", what]
    assert done.returncode == 16


def test_the_material_can_be_read_back(rig: Rig) -> None:
    """The control of the controls."""
    raw = np.fromfile(rig.folder / "scene.nv12", np.uint8).reshape(rig.view.pictures, -1)
    from material import read_number

    shape = (rig.view.height, rig.view.width)
    lumas = [picture[: shape[0] * shape[1]].reshape(shape) for picture in raw]
    assert [read_number(luma) for luma in lumas] == list(range(rig.view.pictures))
    torn = np.concatenate((lumas[20][:240], lumas[21][240:]))
    assert read_number(torn) is None


def test_the_folder_is_not_the_hosts(rig: Rig) -> None:
    """Nothing stays mounted when a run is over."""
    assert str(rig.folder) not in Path("/proc/mounts").read_text()
