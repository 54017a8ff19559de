"""Bugs that drawn shifts found, each as short as it gets."""

from __future__ import annotations

import errno
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from support.camera_bench import Camera
from test_faults import finish, numbers, started

from hal.ports import SECOND_NS
from hal.simulated.disk import Bytes, Fault, Names, Operation, Tear

Make = Callable[..., Camera]
NOTHING_UNSYNCED = Tear(Bytes.NONE, Names.WITHOUT)


def test_a_recording_right_after_another_loses_no_picture(camera: Make, tmp_path: Path) -> None:
    """The keyframe that its first pictures need was the last recording's."""
    it = started(camera)
    it.run(seconds=0.3)
    finish_ns = it.loop.now_ns()
    it.hold_record()
    it.run(seconds=0.1)
    it.press_record_twice()
    pressed_ns = it.transitions[-1].at_ns
    it.run(seconds=4)
    finish(it)
    it.shut_down()
    assert finish_ns < pressed_ns
    kept = sorted(set(numbers(it, tmp_path)))
    assert kept == list(range(kept[0], kept[-1] + 1))
    second = it.ledger("open")[-1]
    assert second["first_pts_ns"] <= pressed_ns


def test_recovery_attests_only_what_a_power_cut_can_not_take(camera: Make, tmp_path: Path) -> None:
    """The process ended: its last bytes were in the page cache, and recovery read them there."""
    it = started(camera)
    it.disk.cut_in_next("sync")
    try:
        it.run(seconds=2)
    except BaseException:  # noqa: BLE001  the cut itself: here only the process ends
        it.disk._cut_in_verb = ""
    it.vanish()
    it.boot()
    it.run(seconds=1)
    it.power_cut(NOTHING_UNSYNCED)
    it.boot()
    it.run(seconds=1)
    it.shut_down()
    report = it.verify(tmp_path)
    assert report.complete, report.segments


def test_opening_that_fails_half_way_goes_on_where_it_was(camera: Make, tmp_path: Path) -> None:
    """Several files to explain; the disk fails between two `recovered` lines."""
    it = started(camera)
    it.press_marker(times=2)
    it.run(seconds=2)
    failing = [0]

    def refuse(operation: Operation) -> int:
        """The ledger's syncs: the running one fails, then of the next ledger the third."""
        if operation.verb != "sync" or not operation.path.startswith("ledger/"):
            return 0
        failing[0] += 1
        return errno.EIO if failing[0] in (1, 7) else 0

    it.disk.refuse = refuse
    it.run(seconds=12)
    it.disk.refuse = lambda operation: 0
    finish(it)
    it.run(seconds=3)
    it.shut_down()
    report = it.verify(tmp_path)
    assert report.ok, report.problems
    assert len(it.ledger("boot")) > 2


def test_an_orderly_stop_explains_files_that_met_an_error(camera: Make, tmp_path: Path) -> None:
    it = started(camera)
    it.disk.faults.append(Fault(it.disk.count, errno.EIO, 1))
    it.run(seconds=3)
    finish(it)
    it.shut_down()
    assert it.ledger("boot")[-1]["cause"] == "segment fault"
    assert it.verify(tmp_path).complete


def test_a_first_segment_that_failed_does_not_take_the_story_with_it(camera: Make) -> None:
    it = camera(recording={"pre_event_s": 3})
    it.run(seconds=5)
    it.disk.faults.append(Fault(it.disk.count + 3, errno.EIO, 1))
    it.press_record_twice()
    it.run(seconds=3)
    told = [line for line in it.ledger("open") if "trigger" in line]
    assert [line["trigger"] for line in told] == ["start"]
    assert told[0]["index"] == 2


def test_without_pre_event_nothing_is_older_than_the_press(camera: Make, tmp_path: Path) -> None:
    """A batch brings pictures from before the press after it, a keyframe among them."""
    for wait_s in (5.02, 5.1, 5.24, 5.3):
        it = camera(recording={"pre_event_s": 0})
        it.run(seconds=wait_s)
        it.press_record_twice()
        pressed_ns = it.transitions[-1].at_ns
        it.run(seconds=2)
        finish(it)
        it.shut_down()
        kept = numbers(it, tmp_path / str(wait_s))
        assert kept[0] * SECOND_NS // 30 >= pressed_ns
        assert kept[0] * SECOND_NS // 30 - pressed_ns < SECOND_NS // 15, "a keyframe on request"
        assert all(b == a + 1 for a, b in pairwise(kept))


def test_covert_mode_that_ends_while_nothing_is_stored_shows_no_recording(camera: Make) -> None:
    it = started(camera, policy={"covert": True, "covert_limit_min": 1})
    it.panel.press("marker")
    it.press("record", held_ms=it.settings.buttons.covert_hold_ms + 200)
    it.panel.release("marker")
    it.run(seconds=2)
    assert it.light() == "dark"
    it.disk.faults.append(Fault(it.disk.count, errno.EIO, 1 << 60))
    it.run(seconds=70)
    after = [item.pattern for item in it.panel.history["front light"]]
    assert after[-1] == "capturing, not stored"
    assert "recording" not in after[after.index("dark", 5) :]


def test_what_a_stalled_camera_left_in_the_buffer_is_forgotten(camera: Make) -> None:
    it = camera(recording={"pre_event_s": 5})
    it.run(seconds=20)
    it.camera.stalled = True
    it.run(seconds=60)
    it.camera.stalled = False
    it.run(seconds=2)
    it.press_record_twice()
    it.run(seconds=2)
    opened = it.ledger("open")[0]
    assert opened["pressed_ns"] - opened["first_pts_ns"] < 7 * SECOND_NS


def test_a_camera_that_stops_late_shows_nothing_of_the_dock(camera: Make, tmp_path: Path) -> None:
    it = camera(recording={"pre_event_s": 30})
    it.run(seconds=5)
    it.camera.stop_ns = 8 * SECOND_NS
    it.put_in_dock(True)
    it.run(seconds=4)
    it.put_in_dock(False)
    undocked_ns = it.loop.now_ns()
    it.run(seconds=15)
    it.press_record_twice()
    it.run(seconds=2)
    finish(it)
    it.shut_down()
    assert numbers(it, tmp_path)[0] * SECOND_NS // 30 >= undocked_ns


def test_a_stop_line_that_the_disk_refuses_is_tried_once_more(camera: Make, tmp_path: Path) -> None:
    it = started(camera)
    finish(it)
    left = [1]

    def refuse(operation: Operation) -> int:
        """The sync of the very last line."""
        last = it.state() == "stopped" and operation.verb == "sync" and left[0] > 0
        left[0] -= last
        return errno.EIO if last else 0

    it.disk.refuse = refuse
    it.shut_down()
    assert left == [0]
    assert it.verify(tmp_path).complete
