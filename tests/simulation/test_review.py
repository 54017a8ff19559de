"""What a review found, each as it was reproduced."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from support.camera_bench import Camera
from test_faults import finish, gaps, numbers, started

from bwv_device.formats.media.mp4_film import read_film
from bwv_device.verification.vault_report import FileStatus
from hal.ports import SECOND_NS, Track
from hal.simulated.disk import Bytes, Fault, Names, Operation, Tear

Make = Callable[..., Camera]


def sound_times(it: Camera, folder: Path) -> list[int]:
    """Times of all exported sound on the camera's clock."""
    first = {o["recording"]: o["first_pts_ns"] for o in it.ledger("open") if o["index"] == 1}
    times = []
    for film in it.export(folder):
        heard = [u for u in read_film(film.path.read_bytes()) if u.track is Track.AUDIO]
        times += [first[film.recording] + unit.pts_ns for unit in heard]
    return times


def test_one_timestamp_from_the_future_changes_nothing(camera: Make, tmp_path: Path) -> None:
    it = started(camera)
    far = 3600 * SECOND_NS
    it.camera.disturb = lambda b: [*b[:-1], b[-1]._replace(pts_ns=b[-1].pts_ns + far)]
    it.run(seconds=0.25)
    it.camera.disturb = lambda batch: batch
    it.run(seconds=20)
    assert ("video", "future", 1) in gaps(it)
    assert it.light() == "recording"
    finish(it)
    it.shut_down()
    assert len(numbers(it, tmp_path)) > 20 * 30
    assert it.verify(tmp_path).complete


def fail_one_ledger_sync(it: Camera, times: int = 1) -> None:
    left = [times]

    def refuse(operation: Operation) -> int:
        hit = operation.path.startswith("ledger/") and operation.verb == "sync" and left[0] > 0
        left[0] -= hit
        return errno.EIO if hit else 0

    it.disk.refuse = refuse


@pytest.mark.parametrize("data", list(Bytes))
def test_a_ledger_sync_that_failed_then_a_power_cut(
    camera: Make, tmp_path: Path, data: Bytes
) -> None:
    """The line in doubt may be on the disk or not: the chain must not lean on it."""
    it = started(camera)
    fail_one_ledger_sync(it)
    it.run(seconds=6)
    it.power_cut(Tear(data, Names.WITH))
    it.boot()
    it.run(seconds=3)
    it.shut_down()
    report = it.verify(tmp_path)
    assert report.complete, (report.problems, report.remarks)


def test_two_ledger_faults_in_a_row(camera: Make, tmp_path: Path) -> None:
    it = started(camera)
    fail_one_ledger_sync(it, times=4)
    it.press_marker()
    it.run(seconds=8)
    it.press_marker()
    it.run(seconds=2)
    finish(it)
    it.shut_down()
    assert it.verify(tmp_path).complete
    kept = sorted(set(numbers(it, tmp_path)))
    assert kept == list(range(kept[0], kept[-1] + 1))


@pytest.mark.parametrize("batches", [1, 2, 3, 8])
def test_a_late_microphone(camera: Make, tmp_path: Path, batches: int) -> None:
    it = camera(recording={"pre_event_s": 3, "pre_event_audio": True, "segment_s": 10})
    held: list[list] = []

    def late(batch: list) -> list:
        held.append(batch)
        return held.pop(0) if len(held) > batches else []

    it.microphone.disturb = late
    it.run(seconds=8)
    it.press_record_twice()
    it.run(seconds=15)
    it.disk.faults.append(Fault(it.disk.count, errno.EIO, 2))
    it.run(seconds=8)
    finish(it)
    it.shut_down()
    kept = sorted(set(numbers(it, tmp_path)))
    assert kept == list(range(kept[0], kept[-1] + 1))


def test_a_press_with_nothing_buffered_while_the_ledger_breaks(
    camera: Make, tmp_path: Path
) -> None:
    it = camera(recording={"pre_event_s": 0})
    it.run(seconds=3.4)
    it.press_record_twice()
    fail_one_ledger_sync(it)
    it.press_marker()
    it.run(seconds=6)
    it.press_marker(times=2)
    it.run(seconds=3)
    finish(it)
    it.shut_down()
    report = it.verify(tmp_path)
    assert report.complete, report.problems
    assert [line["boot"] for line in it.ledger("boot")] == [1, 2]
    assert it.ledger("open")[-1]["segment"].startswith("00000002-")
    assert it.ledger("still")[-1]["segment"].startswith("00000002-")


def test_no_sound_of_a_muted_interval_is_kept(camera: Make, tmp_path: Path) -> None:
    it = started(camera, policy={"mute": True})
    it.press_marker(times=3)
    it.run(seconds=3.07)
    it.press_marker(times=3)
    it.run(seconds=3)
    it.press_marker(times=3)
    it.run(seconds=2.1)
    it.put_in_dock(True)
    it.run(seconds=3)
    it.shut_down()
    switched = [(line["on"], line["t"]) for line in it.ledger("mute")]
    assert [on for on, _ in switched] == [True, False, True, False]
    (_, a), (_, b), (_, c), _ = switched
    times = sound_times(it, tmp_path)
    frame_ns = 1024 * SECOND_NS // 48_000
    assert [t for t in times if a < t + frame_ns - 1000 and t + 1000 < b] == []
    assert [t for t in times if t + frame_ns - 1000 > c] == []
    assert [t for t in times if b < t < c], "in between there is sound"


def test_mute_ends_with_the_recording(camera: Make, tmp_path: Path) -> None:
    it = started(camera, policy={"mute": True})
    it.press_marker(times=3)
    it.run(seconds=2)
    finish(it)
    it.press_record_twice()
    it.run(seconds=4)
    finish(it)
    assert [line["reason"] for line in it.ledger("mute")] == ["button", "the recording ended"]
    assert it.ledger("seal")[-1]["audio_units"] > 150


def test_sound_before_the_press_stays_out_when_the_camera_hangs(
    camera: Make, tmp_path: Path
) -> None:
    it = camera(recording={"pre_event_s": 3})
    it.run(seconds=5.3)
    it.camera.stalled = True
    it.run(seconds=0.2)
    it.press_record_twice()
    it.microphone.stalled = True
    it.run(seconds=1)
    it.camera.stalled = it.microphone.stalled = False
    it.run(seconds=4)
    finish(it)
    it.shut_down()
    pressed_ns = it.ledger("open")[0]["pressed_ns"]
    assert [t for t in sound_times(it, tmp_path) if t < pressed_ns - 1000] == []


def test_a_group_without_end_does_not_fill_the_memory(camera: Make) -> None:
    it = started(camera, recording={"pre_event_s": 3, "queue_limit_mib": 4})
    it.camera.disturb = lambda batch: [unit._replace(keyframe=False) for unit in batch]
    it.run(seconds=120)
    assert it.agent.parts.recorder.undurable_bytes <= 12 << 20


def test_stop_and_dock_within_a_batch_lose_nothing(camera: Make) -> None:
    it = started(camera)
    it.hold_record()
    stopped_ns = it.transitions[-1].at_ns
    it.put_in_dock(True)
    it.run(seconds=3)
    assert stopped_ns - it.ledger("seal")[0]["end_pts_ns"] <= SECOND_NS // 25
    assert len(it.ledger("dock")) == 1


def test_nothing_is_written_behind_stop(camera: Make, tmp_path: Path) -> None:
    it = started(camera)
    it.agent.stop()
    it.press_marker(times=2)
    it.run(seconds=3)
    assert it.ledger()[-1]["kind"] == "stop"
    it.vanish()
    assert it.verify(tmp_path).complete


def test_switching_off_while_starting(camera: Make, tmp_path: Path) -> None:
    it = camera(boot=False)
    it.disk.latency_ns = lambda operation: 50_000_000
    it.boot()
    it.shut_down()
    assert [line["kind"] for line in it.ledger()] == ["boot", "recovery", "state", "stop"]
    assert it.verify(tmp_path).complete


def test_a_gauge_that_fails_does_not_end_a_recording(camera: Make) -> None:
    it = started(camera)

    def broken() -> None:
        raise OSError(errno.EIO, "no answer from the gauge")

    it.power.read = broken
    it.disk.free_bytes = broken
    it.run(seconds=40)
    assert it.state() == "recording"
    assert sorted(line["part"] for line in it.ledger("fault")) == ["battery", "storage"]


def test_a_lamp_that_works_again_is_put_right(camera: Make) -> None:
    it = started(camera)
    it.run(seconds=1.2)
    it.panel.break_output("front_light")
    finish(it)
    it.panel.repair_output("front_light")
    it.run(seconds=3)
    assert it.panel.factory.pin(17).state is False


def test_the_alarm_does_not_wait_behind_beeps(camera: Make) -> None:
    it = started(camera)
    it.disk.latency_ns = lambda operation: 30 * SECOND_NS if operation.verb == "sync" else 0
    for _ in range(5):
        it.press_record_twice()
        it.run(seconds=0.3)
    it.run(seconds=1.5)
    assert it.light() == "capturing, not stored"
    assert it.panel.history["beeper"][-1].pattern == "not stored"


def test_a_planted_ledger_line_does_not_stop_the_boot(camera: Make, tmp_path: Path) -> None:
    from bwv_device.formats import canonical_json

    it = started(camera)
    finish(it)
    it.shut_down()
    last = it.ledger()[-1]
    path = "ledger/00000001.ledger"
    import hashlib

    prev = hashlib.sha256(it.disk.read(path).splitlines()[-1]).hexdigest()
    planted = canonical_json.encode(
        {"kind": "open", "segment": "x", "n": last["n"] + 1, "prev": prev, "t": 0}
    )
    it.disk.append(path, planted + b"\t" + b"0" * 128 + b"\n")
    it.boot()
    it.run(seconds=3)
    assert it.state() == "ready"
    it.shut_down()
    remarks = it.verify(tmp_path).remarks
    assert any("torn bytes, named at the next boot" in remark for remark in remarks)


def test_a_cut_between_creating_and_opening_is_no_tampering(camera: Make, tmp_path: Path) -> None:
    it = camera(recording={"pre_event_s": 3})
    it.run(seconds=5)
    it.disk.cut_in_next("append")
    from hal.simulated.disk import PowerCut

    try:
        it.press_record_twice()
    except PowerCut:
        it.power_cut(Tear(Bytes.ALL, Names.WITH))
    it.disk.create("footage/00000001-0001-0001.mp4.age.part")
    report = it.verify(tmp_path)
    assert report.ok
    assert not report.complete
    assert [v.status for v in report.segments] == [FileStatus.OPEN]
