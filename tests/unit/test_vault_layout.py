"""Names of files in a vault: one parser, ASCII only, and foreign files that cost nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.camera_bench import Camera

from bwv_device.formats.vault_layout import SegmentName, is_recording_id
from bwv_device.verification.second_verifier import Judge
from bwv_device.verification.vault_report import verify
from hal.simulated.disk import TEARS

FOREIGN = [
    "0000000١-0001-0009.mp4.age",  # an Arabic digit, which Python's \d takes
    "00000001-0001-0009.mp4.age ",
    "00000001-0001-0009.mp4.age\n",
    "00000001-0001-009.mp4.age",
    "00000001-0001-0009.mov.age",
    "photo.jpg",
]  # fmt: skip


def test_a_name_is_read_as_it_is_written() -> None:
    for name in (SegmentName(1, 2, 3), SegmentName(99_999_999, 9999, 9999, ".jpg.age")):
        assert SegmentName.parse(str(name)) == name
    assert is_recording_id(SegmentName(1, 2, 3).recording_id)
    assert not is_recording_id("0000000١-0001")


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_name_is_none_of_ours(name: str) -> None:
    assert SegmentName.parse(name) is None


@pytest.mark.parametrize("name", [name for name in FOREIGN if "\n" not in name])
def test_a_foreign_file_on_the_card_gets_no_ledger_line(
    name: str, camera: Callable[..., Camera], tmp_path: Path
) -> None:
    """Recovery once signed a line for such a file, which no verifier accepts: the camera was
    refused at the dock for ever."""
    it = camera(recording={"pre_event_s": 0})
    it.run(seconds=2)
    it.press_record_twice()
    it.run(seconds=3)
    it.power_cut(TEARS[0])
    for path in (f"footage/{name}.part", f"footage/{name}"):
        it.disk.create(path)
        it.disk.append(path, b"whatever")
        it.disk.sync(path)
    it.disk.sync("footage")
    it.boot()
    it.run(seconds=2)
    it.shut_down()
    assert not any(name in str(line) for line in it.ledger())
    it.disk.dump(tmp_path / "v")
    report = verify(tmp_path / "v", [it.agency.root])
    assert report.problems == []
    assert sorted({v.status.value for v in report.segments if v.name.startswith(name)}) == [
        "not in the ledger"
    ]
    for path in (tmp_path / "v" / "footage").iterdir():
        if path.name.startswith(name):
            path.unlink()
    assert verify(tmp_path / "v", [it.agency.root]).complete
    assert Judge(tmp_path / "v", [it.agency.root]).judge() == "whole"
