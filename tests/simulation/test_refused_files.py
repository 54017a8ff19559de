"""A disk that takes lines but no files: one end, named gaps, a refusal, an orderly stop in time."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from support.camera_bench import Camera

from bwv_device.camera.recording import recording_writer
from hal.ports import SECOND_NS
from hal.simulated.disk import Operation
from sim.world.custody_workers import BenchCustody
from sim.world.test_keys import BenchAgency

Make = Callable[..., Camera]


def no_footage(operation: Operation) -> int:
    creates = operation.verb == "create" and operation.path.startswith("footage/")
    return errno.EDQUOT if creates else 0


def kinds(it: Camera, kind: str) -> int:
    return len(it.ledger(kind))


def whole(it: Camera, tmp_path: Path) -> None:
    it.shut_down()
    report = it.verify(tmp_path)
    assert report.complete, report


def test_files_refused_for_good(camera: Make, tmp_path: Path) -> None:
    it = camera()
    it.run(seconds=5)
    it.disk.refuse = no_footage
    it.press_record_twice()
    it.run(seconds=60)
    it.hold_record()
    it.run(seconds=40)
    it.press_record_twice()
    it.run(seconds=600)
    assert it.state() == "ready"
    assert [line["conditions"] for line in it.ledger("refused")] == [["storage takes files"]]
    (closed,) = it.ledger("close")
    assert (closed["segments"], closed["duration_ms"]) == (0, 0)
    gaps = [line for line in it.ledger("gap") if line["track"] == "video"]
    assert {gap["reason"] for gap in gaps} == {"not taken by the disk"}
    lost_ns = sum(gap["to_ns"] - gap["from_ns"] for gap in gaps)
    assert lost_ns > 60 * SECOND_NS
    assert kinds(it, "fault") == 1, "each second of a fault is not a line"
    began_ns = it.loop.now_ns()
    whole(it, tmp_path)
    assert it.loop.now_ns() - began_ns < 5 * SECOND_NS


def test_an_orderly_stop_in_the_middle_has_a_limit(camera: Make, tmp_path: Path) -> None:
    it = camera()
    it.run(seconds=5)
    it.disk.refuse = no_footage
    it.press_record_twice()
    it.run(seconds=10)
    began_ns = it.loop.now_ns()
    whole(it, tmp_path)
    assert it.loop.now_ns() - began_ns < 40 * SECOND_NS
    assert kinds(it, "close") == 1


def test_what_passes_loses_nothing_and_the_camera_finds_out_by_itself(
    camera: Make, tmp_path: Path
) -> None:
    it = camera()
    it.run(seconds=5)
    it.disk.refuse = no_footage
    it.press_record_twice()
    it.run(seconds=10)
    it.hold_record()
    it.run(seconds=15)
    assert it.agent is not None
    assert it.agent.parts.recorder.failing
    it.disk.refuse = lambda operation: 0
    it.run(seconds=15)
    assert not it.ledger("gap")
    assert it.ledger("close")[0]["segments"] == 1
    it.press_record_twice()
    it.run(seconds=5)
    assert it.state() == "recording"
    it.hold_record()
    it.run(seconds=2)
    whole(it, tmp_path)
    assert "footage/probe" not in it.disk.lengths()


def test_files_run_out_before_bytes_do(camera: Make, tmp_path: Path) -> None:
    it = camera()
    it.run(seconds=5)
    it.press_record_twice()
    it.run(seconds=5)
    it.disk.file_limit = len(it.disk.lengths()) + 20
    it.run(seconds=30)
    assert it.state() == "ready"
    assert [line["reason"] for line in it.ledger("close")] == ["storage full"]
    it.press_record_twice()
    it.run(seconds=2)
    assert [line["conditions"] for line in it.ledger("refused")] == [["storage has room"]]
    whole(it, tmp_path)


def test_a_recording_without_a_number_left_rolls_over(
    camera: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_writer, "LAST_NUMBER", 2)
    it = camera(recording={"segment_s": 10})
    it.run(seconds=40)
    it.press_record_twice()
    it.run(seconds=30)
    it.hold_record()
    it.run(seconds=2)
    assert {line["index"] for line in it.ledger("open")} == {1, 2}
    assert [line["reason"] for line in it.ledger("close")][:-1] == ["roll-over"] * (
        kinds(it, "close") - 1
    )
    follows = [line.get("follows") for line in it.ledger("open") if line["index"] == 1]
    assert follows[1:] == [line["recording"] for line in it.ledger("close")][:-1]
    assert not it.ledger("gap")
    whole(it, tmp_path)


def test_a_boot_with_few_numbers_left_goes_on_in_another(
    camera: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_writer, "FEW_NUMBERS_LEFT", 2)
    it = camera()
    for _ in range(5):
        it.run(seconds=2)
        it.press_record_twice()
        it.run(seconds=3)
        it.hold_record()
        it.run(seconds=2)
    opened = [line["recording"] for line in it.ledger("open")]
    assert opened == [
        "00000001-0001", "00000001-0002", "00000002-0001", "00000002-0002", "00000003-0001",
    ]  # fmt: skip
    assert [line["cause"] for line in it.ledger("boot")][1:] == ["numbers used up"] * 2
    whole(it, tmp_path)


def test_a_removal_that_failed_is_finished_later_and_said_once(
    camera: Make, agency: BenchAgency, tmp_path: Path
) -> None:
    it = camera(dock={"store": "bench", "poll_ms": 1000})
    BenchCustody(it, agency).start()
    it.run(seconds=3)
    it.press_record_twice()
    it.run(seconds=3)
    it.hold_record()
    it.run(seconds=2)
    it.disk.refuse = lambda operation: errno.EUCLEAN if operation.verb == "remove" else 0
    it.put_in_dock(True)
    it.run(seconds=30)
    assert kinds(it, "wipe") == 1
    for _ in range(2):
        assert any(path.startswith("footage/") for path in it.disk.lengths())
        it.put_in_dock(False)
        it.run(seconds=2)
        it.put_in_dock(True)
        it.run(seconds=30)
    it.put_in_dock(False)
    it.run(seconds=2)
    it.disk.refuse = lambda operation: 0
    it.put_in_dock(True)
    it.run(seconds=30)
    assert kinds(it, "wipe") == kinds(it, "receipt") == 1
    assert not any(path.startswith("footage/") for path in it.disk.lengths())
    whole(it, tmp_path)


def test_a_disk_that_is_only_slow_is_waited_for(camera: Make, tmp_path: Path) -> None:
    """Each operation comes to its end, in its own time: nothing is given up behind the stop."""
    it = camera(recording={"pre_event_s": 0, "segment_s": 10})
    it.run(seconds=5)
    it.press_record_twice()
    it.run(seconds=25)
    slow_from = it.disk.count

    def crawling(operation: Operation) -> int:
        return 9 * SECOND_NS if slow_from <= operation.number < slow_from + 12 else 0

    it.disk.latency_ns = crawling
    it.hold_record()
    it.run(seconds=180)
    assert it.disk.busy_ns == 0
    assert it.loop.now_ns() > 2 * 30 * SECOND_NS, "longer than a disk that refuses is given"
    assert kinds(it, "fault") == 0
    assert [gap["reason"] for gap in it.ledger("gap")] == []
    (closed,) = it.ledger("close")
    assert closed["duration_ms"] > 24_000
    whole(it, tmp_path)
