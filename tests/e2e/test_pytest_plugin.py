"""The fixtures, as another project uses them: in a folder of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

THEIRS = """
import pytest


def test_a_power_cut_loses_nothing_that_was_acknowledged(bwv_camera):
    camera = bwv_camera
    camera.press_twice()
    camera.world.run(seconds=40)
    assert camera.state == "recording"
    assert camera.front_light == "recording"
    assert "recording goes on" in camera.sounds()
    camera.power_cut()
    assert camera.state == "off"
    camera.boot()
    camera.world.run(seconds=2)
    report = camera.vault.verify()
    assert report.ok
    assert [verdict.status.value for verdict in report.segments] == ["recovered"]
    assert camera.vault.ledger("recovered")


def test_settings_and_several_cameras(bwv_camera_factory):
    short = bwv_camera_factory(recording={"pre_event_s": 0}, docked=True)
    short.world.run(seconds=2)
    assert short.state == "docked"
    with pytest.raises(Exception, match="pre_event_s"):
        bwv_camera_factory(recording={"pre_event_s": 1000})


def test_a_planned_cut(bwv_camera):
    bwv_camera.press_twice()
    bwv_camera.power_cut_in_next("sync")
    bwv_camera.boot()
    bwv_camera.world.run(seconds=1)
    bwv_camera.switch_off()
    assert bwv_camera.vault.verify().complete
    assert bwv_camera.vault.second_opinion() == "whole"


def test_a_drawn_shift(bwv_shift):
    assert bwv_shift(seed=3, duration_s=300).findings == []


def test_that_fails_because_nobody_pressed(bwv_camera):
    assert bwv_camera.front_light == "recording"
"""


def test_another_project_uses_the_fixtures(tmp_path: Path) -> None:
    Path(tmp_path, "test_theirs.py").write_text(THEIRS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    assert "1 failed" in done.stdout
    assert "test_that_fails_because_nobody_pressed" in done.stdout
