"""The oldest picamera2 on a supported board: 0.3.31, at which Raspberry Pi OS bookworm stays.

It has no `force_key_frame`: a snapshot, and a start without a buffered keyframe, must not cost a
picture.
"""

from __future__ import annotations

import pytest
from material import View
from virtual_rig import Rig, make_root

pytestmark = pytest.mark.virtual_rig


def test_it_records_and_takes_a_still_without_a_gap(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    make_root()
    rig = Rig(tmp_path_factory.mktemp("rig"), View(), picamera2="oldest")
    rig.prepare()
    with rig.running() as camera:
        camera.wait_for_word("→ ready")
        opened = camera.wait_for_line(kind="capture", part="camera")
        assert "picamera2 0.3.31" in opened["opened"]
        camera.type("record")
        camera.wait_for_word("→ recording")
        camera.wait_for_footage(4)
        camera.type("snapshot")
        camera.wait_for_line(kind="still")
        camera.wait_for_footage(4)
        camera.type("stop")
        camera.wait_for_line(kind="close")
        assert camera.finish() == 0
    assert rig.verify().ok
    assert [line for line in rig.ledger("gap") if line["track"] == "video"] == []
    assert [line for line in rig.ledger("fault") if line.get("part") == "camera"] == []
