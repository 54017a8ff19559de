"""Capture and storage faults: recorded as gaps and faults, never hidden, never fatal."""

from __future__ import annotations

import errno
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from support.camera_bench import Camera

from bwv_device.camera.recording.recording_writer import SEALED_LIMIT
from bwv_device.formats.media.mp4_film import read_film
from bwv_device.settings import MIB
from bwv_device.verification.export import Exported
from hal.ports import SECOND_NS, AccessUnit, CaptureLoss, Track
from hal.simulated.capture import StubVideo
from hal.simulated.disk import Fault, Operation

Make = Callable[..., Camera]


def gaps(it: Camera) -> list[tuple[str, str, int]]:
    return [(line["track"], line["reason"], line["units"]) for line in it.ledger("gap")]


def started(camera: Make, **settings: object) -> Camera:
    it = camera(**{"recording": {"pre_event_s": 3}, **settings})
    it.run(seconds=5)
    it.press_record_twice()
    it.run(seconds=3)
    return it


def finish(it: Camera) -> None:
    it.hold_record()
    it.run(seconds=2)


def numbers(it: Camera, folder: Path) -> list[int]:
    """Numbers of all exported pictures, in order."""
    return numbers_in(it.export(folder))


def numbers_in(films: list[Exported]) -> list[int]:
    found = []
    for film in films:
        found += [
            StubVideo.number_of(unit.data)
            for unit in read_film(film.path.read_bytes())
            if unit.track is Track.VIDEO
        ]
    return found


# --- capture -----------------------------------------------------------------------------------


def test_a_stall_is_a_fault_and_a_gap_of_the_right_length(camera: Make) -> None:
    it = started(camera)
    it.camera.stalled = it.microphone.stalled = True
    it.run(seconds=4)
    it.camera.stalled = it.microphone.stalled = False
    it.run(seconds=5)
    finish(it)
    assert [line["reason"] for line in it.ledger("fault")] == ["no pictures", "pictures again"]
    missing = {track: units for track, reason, units in gaps(it) if reason == "missing"}
    assert missing == {"video": 120, "audio": pytest.approx(187, abs=2)}


@pytest.mark.parametrize(
    ("disturb", "expected"),
    [
        (lambda batch: [batch[0]._replace(pts_ns=batch[0].pts_ns - SECOND_NS), *batch], "backward"),
        (lambda batch: [batch[0], *batch], "duplicate"),
        (lambda batch: batch[:2] + batch[4:], "missing"),
        (lambda batch: [unit._replace(data=b"\x00\x00\x00\x09\x67" + bytes(8)) for unit in batch],
         "no picture"),
        (lambda batch: [unit._replace(data=unit.data[:-3]) for unit in batch], "malformed"),
    ],
    ids=["backward", "duplicate", "missing", "parameter sets only", "malformed"],
)  # fmt: skip
def test_odd_units_are_counted_and_the_rest_is_kept(
    camera: Make, tmp_path: Path, disturb: Callable[[list[AccessUnit]], list[AccessUnit]],
    expected: str,
) -> None:  # fmt: skip
    it = started(camera)
    it.camera.disturb = disturb
    it.run(seconds=0.25)
    it.camera.disturb = lambda batch: batch
    it.run(seconds=3)
    finish(it)
    assert expected in {reason for _, reason, _ in gaps(it)}
    it.shut_down()
    kept = numbers(it, tmp_path)
    assert kept == sorted(set(kept))
    assert it.verify(tmp_path).complete


def test_keyframes_that_stay_out_do_not_end_the_recording(camera: Make, tmp_path: Path) -> None:
    it = started(camera, recording={"pre_event_s": 3, "segment_s": 10})
    it.camera.disturb = lambda batch: [unit._replace(keyframe=False) for unit in batch]
    it.run(seconds=30)
    it.camera.disturb = lambda batch: batch
    it.run(seconds=12)
    finish(it)
    lengths = [(s["end_pts_ns"] - s["first_pts_ns"]) // SECOND_NS for s in it.ledger("seal")]
    assert lengths[0] >= 30, "it cuts where the next keyframe comes"
    it.shut_down()
    assert it.verify(tmp_path).complete


def test_a_flood_of_odd_units_is_few_lines(camera: Make) -> None:
    it = started(camera)
    it.camera.disturb = lambda batch: [unit for unit in batch for _ in range(3)]
    it.run(seconds=60)
    it.camera.disturb = lambda batch: batch
    it.run(seconds=3)
    duplicates = [gap for gap in gaps(it) if gap[1] == "duplicate"]
    assert len(duplicates) <= 7
    assert sum(units for _, _, units in duplicates) == pytest.approx(3600, abs=40)


def test_units_lost_in_a_backend_are_counted(camera: Make) -> None:
    it = started(camera)
    it.camera.lose(CaptureLoss(Track.VIDEO, 7, "driver overflow"))
    it.run(seconds=20)
    assert ("video", "driver overflow", 7) in gaps(it)


def test_a_microphone_that_is_unplugged_does_not_hold_the_pictures_up(
    camera: Make, tmp_path: Path
) -> None:
    it = started(camera)
    it.microphone.stalled = True
    it.run(seconds=10)
    assert it.light() == "recording"
    it.microphone.stalled = False
    it.run(seconds=5)
    finish(it)
    assert any(g[0] == "audio" and g[1] == "missing" for g in gaps(it))
    it.shut_down()
    kept = numbers(it, tmp_path)
    assert kept == list(range(kept[0], kept[-1] + 1))


def test_a_slow_card_drops_whole_seconds_and_says_how_many(camera: Make, tmp_path: Path) -> None:
    it = started(camera, recording={"pre_event_s": 3, "queue_limit_mib": 4})
    it.disk.latency_ns = lambda operation: 12 * SECOND_NS if operation.verb == "sync" else 0
    it.run(seconds=40)
    it.disk.latency_ns = lambda operation: 0
    it.run(seconds=60)
    finish(it)
    assert it.agent.parts.recorder.dropped_units > 0
    said = sum(units for _, reason, units in gaps(it) if reason == "queue overflow")
    assert said == it.agent.parts.recorder.dropped_units
    assert it.agent.parts.recorder.undurable_bytes <= 6 << 20
    it.shut_down()
    assert it.verify(tmp_path).complete
    kept = numbers(it, tmp_path)
    holes = [b for a, b in pairwise(kept) if b != a + 1]
    assert holes
    assert all(number % 30 == 0 for number in holes), "after a hole it starts at a keyframe"


# --- storage -----------------------------------------------------------------------------------


def operations_of_a_recording(camera: Make) -> int:
    it = camera(recording={"pre_event_s": 3, "segment_s": 10})
    it.run(seconds=5)
    it.press_record_twice()
    it.run(seconds=12)
    finish(it)
    return it.disk.count


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize("times", [1, 3])
def test_an_error_at_any_operation_loses_nothing(
    camera: Make, tmp_path: Path, code: int, times: int
) -> None:
    """The disk fails once or thrice and works again: no picture is missing in the end."""
    count = operations_of_a_recording(camera)
    for number in range(times % 9, count, 9):
        it = camera(recording={"pre_event_s": 3, "segment_s": 10}, boot=False)
        it.disk.faults.append(Fault(number, code, times))
        it.boot()
        it.run(seconds=8)
        it.press_record_twice()
        pressed_ns = it.transitions[-1].at_ns
        it.run(seconds=12)
        it.hold_record()
        stopped_ns = it.loop.now_ns() - SECOND_NS // 10
        it.run(seconds=4)
        it.shut_down()
        it.boot()
        it.run(seconds=2)
        it.shut_down()
        report, films = it.judged(tmp_path / str(number))
        assert report.complete, (number, report.problems, report.remarks, report.segments)
        # A ledger that broke starts another recording, which may repeat some pictures.
        kept = sorted(set(numbers_in(films)))
        where = f"operation {number}"
        assert kept == list(range(kept[0], kept[-1] + 1)), where
        assert kept[0] <= (pressed_ns - 3 * SECOND_NS) * 30 // SECOND_NS, where
        assert kept[-1] >= (stopped_ns - SECOND_NS // 10) * 30 // SECOND_NS, where


def test_a_disk_error_is_a_fault_line_and_a_new_segment(camera: Make) -> None:
    it = started(camera)
    it.disk.faults.append(Fault(it.disk.count, errno.EIO, 1))
    it.run(seconds=5)
    finish(it)
    fault = it.ledger("fault")[0]
    assert fault["part"] == "segment"
    assert "nput/output" in fault["reason"]
    assert [o["segment"][-12:-8] for o in it.ledger("open")] == ["0001", "0002"]


def refuse_ledger(it: Camera, broken: list[bool]) -> None:
    """While `broken` holds true the disk takes no ledger line."""
    it.disk.refuse = lambda operation: (
        errno.EIO if broken[0] and operation.path.startswith("ledger/") else 0
    )


@pytest.mark.parametrize("late_ms", range(20, 270, 50))
def test_a_ledger_that_breaks_where_a_segment_ends_gives_no_false_gap(
    camera: Make, tmp_path: Path, late_ms: int
) -> None:
    """A line finds the ledger broken just before the batch that begins a segment."""
    it = camera(recording={"pre_event_s": 0, "segment_s": 10}, video={"bitrate_kbps": 200})
    it.run(seconds=5)
    it.press_record_twice()
    it.run(seconds=3)
    ten_s_on_ns = it.ledger("open")[0]["first_pts_ns"] + 10 * SECOND_NS
    cut_ns = it.origins_ns[-1] + -(-ten_s_on_ns // SECOND_NS) * SECOND_NS  # the next keyframe
    it.run(cut_ns - it.loop.now_ns() + late_ms * 1_000_000)
    before = len(it.ledger("gap"))
    broken = [True]
    refuse_ledger(it, broken)
    it.agent.parts.vault_lane.note("fault", part="test", reason="finds the ledger broken")
    it.run(seconds=3)
    broken[0] = False
    it.run(seconds=8)
    finish(it)
    assert gaps(it)[before:] == []
    it.shut_down()
    kept = sorted(set(numbers(it, tmp_path)))
    assert kept == list(range(kept[0], kept[-1] + 1)), "no picture is lost"


def test_a_ledger_that_breaks_at_the_stop_still_says_why_it_ended(camera: Make) -> None:
    it = started(camera)
    broken = [False]
    refuse_ledger(it, broken)
    it.hold_record()
    broken[0] = True
    it.run(seconds=3)
    broken[0] = False
    it.run(seconds=8)
    assert it.ledger("close")[-1]["reason"] == "stop"
    assert it.agent.state.value == "ready"


def test_a_ledger_that_breaks_is_opened_anew_and_recording_goes_on(
    camera: Make, tmp_path: Path
) -> None:
    it = started(camera)

    left = [1]

    def refuse(operation: Operation) -> int:
        hit = operation.path.startswith("ledger/") and operation.verb == "sync" and left[0] > 0
        left[0] -= hit
        return errno.EIO if hit else 0

    it.disk.refuse = refuse
    it.run(seconds=6)
    finish(it)
    it.shut_down()
    assert [line["boot"] for line in it.ledger("boot")] == [1, 2]
    assert it.ledger("boot")[1]["cause"] == "ledger fault"
    assert it.ledger("open")[-1]["trigger"] == "continued"
    report = it.verify(tmp_path)
    assert report.complete, report.problems
    kept = sorted(set(numbers(it, tmp_path)))
    assert kept == list(range(kept[0], kept[-1] + 1)), "no picture is lost"


def test_recovery_cut_off_again_and_again(camera: Make, tmp_path: Path) -> None:
    from hal.simulated.disk import TEARS, PowerCut

    it = started(camera)
    it.power_cut(TEARS[2])
    for number, tear in enumerate((*TEARS, *TEARS)):
        it.disk.cut_before = it.disk.count + number % 7
        try:
            it.boot()
            it.run(seconds=1)
        except PowerCut:
            pass
        it.power_cut(tear)
    it.boot()
    it.run(seconds=2)
    it.shut_down()
    report = it.verify(tmp_path)
    assert report.complete, (report.problems, report.remarks)
    assert [v.status.value for v in report.segments] == ["recovered"]
    assert len(numbers(it, tmp_path)) >= 5 * 30


def test_a_long_pre_event_does_not_count_as_overflow(camera: Make, tmp_path: Path) -> None:
    """120 s in memory are more than the queue's limit; live pictures are taken all the same."""
    it = camera(recording={"pre_event_s": 120, "queue_limit_mib": 4})
    it.run(seconds=130)
    it.disk.latency_ns = lambda operation: 900_000_000 if operation.verb == "sync" else 0
    it.press_record_twice()
    most = 0
    for _ in range(100):
        it.run(seconds=0.1)
        most = max(most, it.agent.parts.recorder.sealed_bytes)
    finish(it)
    assert it.agent.parts.recorder.dropped_units == 0
    assert SEALED_LIMIT < most < SEALED_LIMIT + MIB, "what waits is not in memory twice"
    it.shut_down()
    kept = numbers(it, tmp_path)
    assert kept == list(range(kept[0], kept[-1] + 1))


def test_what_waits_for_a_slow_disk_is_flushed_when_pictures_stop(camera: Make) -> None:
    """They stop while the disk is still behind with the pre-event buffer."""
    it = camera(recording={"pre_event_s": 120})
    it.run(seconds=130)
    it.disk.latency_ns = lambda operation: 900_000_000 if operation.verb == "sync" else 0
    it.press_record_twice()
    it.run(seconds=1)
    assert it.camera is not None
    assert it.microphone is not None
    it.camera.stalled = it.microphone.stalled = True
    stalled_ns = it.loop.now_ns()
    assert it.agent.parts.recorder.undurable_bytes > 2 * SEALED_LIMIT
    it.run(seconds=60)
    newest_ns = max(line["video_until_ns"] for line in it.ledger("sync"))
    assert newest_ns > stalled_ns - SECOND_NS // 5


def test_pictures_that_never_came_before_the_stop_are_named(camera: Make) -> None:
    """A camera that stalls a second before the stop has given no sign of it yet."""
    it = camera()
    it.run(seconds=5)
    it.press_record_twice()
    it.run(seconds=10)
    assert it.camera is not None
    it.camera.stalled = True
    stalled_ns = it.loop.now_ns()
    it.hold_record()
    it.run(seconds=20)
    (closed,) = it.ledger("close")
    gaps = [line for line in it.ledger("gap") if line["track"] == "video"]
    assert gaps, closed
    assert abs(gaps[0]["from_ns"] - stalled_ns) < SECOND_NS // 2
    assert gaps[-1]["to_ns"] - gaps[0]["from_ns"] > SECOND_NS


def test_a_snapshot_that_was_asked_for_dies_with_its_recording(camera: Make) -> None:
    it = camera(dock={"store": "bench"})
    it.run(seconds=5)
    it.press_record_twice()
    it.run(seconds=10)
    assert it.camera is not None
    it.camera.stalled = True
    it.press_marker(times=2)
    it.run(seconds=0.6)
    it.put_in_dock(True)
    it.run(seconds=5)
    it.camera.stalled = False
    it.put_in_dock(False)
    it.run(seconds=20)
    assert len(it.ledger("close")) == 1
    assert it.ledger("still") == []
    (fault,) = [line for line in it.ledger("fault") if line["part"] == "snapshot"]
    assert fault["reason"] == "the recording ended before the next keyframe"
