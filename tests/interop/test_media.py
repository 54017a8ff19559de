"""Real H.264 and AAC through the whole camera; ffprobe and ffmpeg judge what comes out."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.camera_bench import Camera, make_camera

from bwv_device.commands.export import command as export_command
from bwv_device.formats.age_payload import Opener
from bwv_device.formats.media.mp4_reader import boxes, read_init
from bwv_device.settings import Recording, Settings, Video
from bwv_device.verification.export import Exported
from hal.ports import SECOND_NS, AccessUnit, Track
from hal.simulated.disk import Bytes, Names, PowerCut, Tear
from hal.stills import PyavStills
from sim.media.scene import Scene
from sim.media.sound import Sound, street
from sim.world.test_keys import BenchAgency
from sim.world.world import EPOCH_UTC_NS, Media

WIDTH, HEIGHT, FPS = 640, 360, 30


def probe(path: Path, *what: str) -> dict:
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-of", "json", *what, path],
        capture_output=True,
        check=True,
    )
    assert done.stderr == b"", done.stderr.decode()
    return json.loads(done.stdout)


LATE_SEI = ("Late SEI is not implemented", "upload a sample of this file")


def decode_errors(path: Path) -> str:
    done = subprocess.run(
        ["ffmpeg", "-v", "warning", "-xerror", "-i", path, "-f", "null", "-"],
        capture_output=True,
        check=False,
    )
    told = done.stderr.decode().splitlines()
    # It has no use for what is signed at a segment's end, behind its last picture (format.md, 2.3).
    return "\n".join(line for line in told if not any(known in line for known in LATE_SEI))


class Shift:
    """Two recordings; the second is cut off by a power loss. What the camera gave is kept."""

    def __init__(self, folder: Path, agency: BenchAgency) -> None:
        scene = Scene(WIDTH, HEIGHT, FPS, 1_500_000, EPOCH_UTC_NS)
        settings = replace(
            Settings(),
            recording=Recording(pre_event_s=5, segment_s=10, pre_event_audio=True),
            video=Video(width=WIDTH, height=HEIGHT, fps=FPS, bitrate_kbps=1500),
        )
        media = Media(scene, Sound(street, 64_000), PyavStills())
        self.camera = make_camera(agency, settings=settings, media=media, boot=False)
        self.given: list[AccessUnit] = []
        self._play()
        scene.close()
        self.folder = folder
        self.exported = self.camera.export(folder)
        self.agency = agency

    def _play(self) -> None:
        it = self.camera
        it.boot()
        for device in (it.camera, it.microphone):
            device.disturb = self._keep
        it.run(seconds=8)
        it.press_record_twice()
        it.run(seconds=14)
        it.press_marker(times=2)
        it.run(seconds=2)
        it.hold_record()
        it.run(seconds=2)
        it.press_record_twice()
        it.run(seconds=5.3)
        it.disk.cut_in_next("append")
        try:
            it.run(seconds=2)
        except PowerCut:
            it.power_cut(Tear(Bytes.PART, Names.WITH))
        it.boot()
        it.run(seconds=2)
        it.shut_down()

    def _keep(self, batch: list[AccessUnit]) -> list[AccessUnit]:
        self.given += batch
        return batch

    def opened(self, recording: str) -> dict:
        return next(x for x in self.camera.ledger("open") if x["recording"] == recording)


@pytest.fixture(scope="module")
def shift(tmp_path_factory: pytest.TempPathFactory) -> Shift:
    return Shift(tmp_path_factory.mktemp("media"), BenchAgency())


@pytest.fixture(params=[0, 1], ids=["sealed", "recovered"])
def film(request: pytest.FixtureRequest, shift: Shift) -> Exported:
    return shift.exported[request.param]


def test_there_are_two_recordings(shift: Shift) -> None:
    assert [item.statuses[-1] for item in shift.exported] == ["sealed", "recovered"]


def test_every_picture_and_sound_decodes(film: Exported) -> None:
    assert decode_errors(film.path) == ""
    streams = probe(film.path, "-count_frames", "-show_streams")["streams"]
    counted = {s["codec_name"]: int(s["nb_read_frames"]) for s in streams}
    assert counted == {"h264": film.video_units, "aac": film.audio_units}
    assert film.video_units > 200


def test_times_and_bytes_are_those_that_the_camera_gave(film: Exported, shift: Shift) -> None:
    """Every picture from the first before the press to the last, in order, none missing."""
    first_ns = shift.opened(film.recording)["first_pts_ns"]
    for track, stream in ((Track.VIDEO, "v"), (Track.AUDIO, "a")):
        packets = probe(film.path, "-select_streams", stream, "-show_packets")["packets"]
        shown = [round(float(packet["pts_time"]) * 1_000_000) for packet in packets]
        given = [
            round((unit.pts_ns - first_ns) / 1000)
            for unit in shift.given
            if unit.track is track and unit.pts_ns >= first_ns
        ][: len(shown)]
        # A microsecond of rounding, half a sample for sound.
        tolerance = 1 if track is Track.VIDEO else 12
        assert [abs(a - b) <= tolerance for a, b in zip(shown, given, strict=True)] == [
            True for _ in shown
        ]


def test_the_recording_reaches_back_before_the_press(film: Exported, shift: Shift) -> None:
    opened = shift.opened(film.recording)
    achieved_ms = (opened["pressed_ns"] - opened["first_pts_ns"]) // 1_000_000
    assert opened["pre_event"]["achieved_ms"] == achieved_ms
    if film.statuses[-1] == "sealed":
        assert 5000 <= achieved_ms < 6000
        assert opened["pre_event"]["shortfall"] == ""
    else:
        assert achieved_ms < 5000
        assert opened["pre_event"]["shortfall"]


def plaintext_segments(shift: Shift) -> Iterator[tuple[str, bytes]]:
    for path in sorted((shift.folder / "vault" / "footage").iterdir()):
        if ".mp4." in path.name:
            opener = Opener(io.BytesIO(path.read_bytes()), shift.agency.identities)
            yield path.name, b"".join(opener.whole_chunks())


def test_every_sealed_segment_plays_alone(shift: Shift, tmp_path: Path) -> None:
    played = 0
    for name, data in plaintext_segments(shift):
        if name.endswith(".part"):
            continue
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(data)
        assert decode_errors(path) == ""
        video = probe(path, "-select_streams", "v", "-show_streams")["streams"][0]
        assert float(video["start_time"]) == 0
        packets = probe(path, "-select_streams", "v", "-show_packets")["packets"]
        assert "K" in packets[0]["flags"]
        played += 1
    assert played >= 2


def test_the_decoder_configuration_is_the_encoders_own(shift: Shift, tmp_path: Path) -> None:
    """avcC must carry the parameter sets that the camera sent, not somebody else's."""
    from bwv_device.formats.media.h264 import split_keyframe

    _, data = next(plaintext_segments(shift))
    sets, _ = split_keyframe(next(u.data for u in shift.given if u.track is Track.VIDEO))
    init = read_init(data)
    at = init.data.index(b"avcC")
    assert sets.sps in init.data[at:]
    assert sets.pps in init.data[at:]


def test_metadata_inside_says_when_and_who(shift: Shift) -> None:
    _, data = next(plaintext_segments(shift))
    metadata = read_init(data).metadata
    opened = shift.camera.ledger("open")[0]
    assert metadata["first_pts_ns"] == opened["first_pts_ns"]
    assert metadata["device"] == shift.agency.device.device
    truth_ns = EPOCH_UTC_NS + opened["first_pts_ns"]
    assert abs(metadata["time"]["utc_ns"] - truth_ns) <= metadata["time"]["error_ns"]


def test_the_snapshot_is_a_jpeg_of_the_scene(shift: Shift) -> None:
    still = next((shift.folder / "out").glob("*.jpg"))
    stream = probe(still, "-show_streams")["streams"][0]
    assert (stream["codec_name"], stream["width"], stream["height"]) == ("mjpeg", WIDTH, HEIGHT)


def test_the_sidecar_tells_what_was_verified(film: Exported) -> None:
    said = json.loads(film.path.with_suffix(".json").read_text())
    assert said["ledger_verified"] is True
    assert said["video_units"] == film.video_units
    sealed = [row for row in said["segments"] if row["status"] == "sealed"]
    assert all(row["plaintext_matches_ledger"] for row in sealed)


def test_loss_at_the_cut_is_within_the_bound(shift: Shift) -> None:
    film = shift.exported[1]
    first_ns = shift.opened(film.recording)["first_pts_ns"]
    cut_ns = next(h.at_ns for h in shift.camera.happenings if h.what == "power cut")
    end_ns = first_ns + film.video_units * SECOND_NS // FPS
    assert 0 <= cut_ns - end_ns <= 1_200_000_000


def test_the_camera_type_is_used(shift: Shift) -> None:
    assert isinstance(shift.camera, Camera)


def test_a_film_is_a_plain_mp4_with_its_tables_in_front(film: Exported) -> None:
    """Players take the length of a fragmented film from what they have read of it."""
    data = film.path.read_bytes()
    assert [box.kind for box in boxes(data)] == [b"ftyp", b"moov", b"free", b"mdat"]


def test_sound_that_begins_later_does_not_lengthen_the_film(
    agency: BenchAgency, tmp_path: Path
) -> None:
    """Chromium once showed 27 s for 19.0 s: by default the pre-event part has no sound."""
    scene = Scene(320, 180, FPS, 300_000, EPOCH_UTC_NS)
    settings = replace(
        Settings(),
        recording=Recording(pre_event_s=8, segment_s=10, post_event_s=0),
        video=Video(width=320, height=180, fps=FPS, bitrate_kbps=300),
    )
    media = Media(scene, Sound(street, 64_000), PyavStills())
    it = make_camera(agency, settings=settings, media=media, boot=False)
    it.boot()
    it.run(seconds=10)
    it.press_record_twice()
    it.run(seconds=7)
    it.hold_record()
    it.run(seconds=3)
    it.shut_down()
    scene.close()
    (film,) = it.export(tmp_path)
    (closed,) = it.ledger("close")
    picture_s = 1 / FPS
    shown = probe(
        film.path, "-show_entries", "format=duration:stream=codec_type,start_time,duration"
    )
    video, sound = sorted(shown["streams"], key=lambda s: s["codec_type"], reverse=True)
    assert float(sound["start_time"]) > 6
    for length_s in (shown["format"]["duration"], video["duration"], film.duration_ms / 1000):
        assert abs(float(length_s) - closed["duration_ms"] / 1000) <= picture_s
    assert decode_errors(film.path) == ""


def test_a_damaged_chunk_costs_its_own_pictures_and_is_named(shift: Shift, tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    shift.camera.disk.dump(vault)
    whole = next(item for item in shift.exported if item.statuses[-1] == "sealed")
    name = f"{whole.recording}-0001.mp4.age"
    sealed = bytearray((vault / "footage" / name).read_bytes())
    sealed[len(sealed) // 2] ^= 1
    (vault / "footage" / name).write_bytes(sealed)
    (vault / "footage" / f"{whole.recording}-0002.mp4.age").unlink()
    root, identity = tmp_path / "root.pem", tmp_path / "identity.txt"
    root.write_bytes(shift.agency.files["agency-root.pem"])
    identity.write_bytes(shift.agency.files["agency-identity.txt"])
    words = ["--identity", str(identity), "--root", str(root), "--out", str(tmp_path / "films")]
    done = CliRunner().invoke(export_command, [str(vault), *words, "--recording", whole.recording])
    assert done.exit_code == 10
    left_out = json.loads((tmp_path / "films" / f"{whole.recording}.json").read_text())[
        "not_exported"
    ]
    reasons = {item["name"]: item["reason"] for item in left_out}
    assert "bytes do not open, in one place" in reasons[name]
    assert reasons[f"{whole.recording}-0002.mp4.age"] == "it is missing"
    for missing in reasons:
        assert missing in done.output
    frames = ["-count_frames", "-select_streams", "v", "-show_entries", "stream=nb_read_frames"]
    film = tmp_path / "films" / f"{whole.recording}.mp4"
    (shown,) = probe_quietly(film, *frames)["streams"]
    kept = whole.video_units - 10 * FPS  # the second segment
    assert kept - 2 * FPS <= int(shown["nb_read_frames"]) < kept


def probe_quietly(path: Path, *what: str) -> dict:
    """Of a damaged film: pictures that refer to missing ones are complained of."""
    command = ["ffprobe", "-v", "fatal", "-of", "json", *what, path]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
