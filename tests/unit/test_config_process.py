"""The configuration that is checked in a process of its own is the same, and so are its errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bwv_device import config
from bwv_device.backends import config_process
from bwv_device.errors import ConfigError, MissingPartError

MANUAL = Path(__file__).parents[2] / "config.toml"
WHAT_A_CAMERA_DOES_WITHOUT = {"av", "cv2", "numpy", "pydantic", "boto3", "paho", "rich"}


def test_it_reads_what_the_validator_reads(tmp_path: Path) -> None:
    assert config.load(MANUAL, config_process.check)[:3] == config.load(MANUAL)[:3]
    file = tmp_path / "camera.toml"
    file.write_text('[video]\nfps = 10\n[panel]\ndock = "usb"\n')
    loaded = config.load(file, config_process.check)
    assert loaded[:3] == config.load(file)[:3]
    assert loaded.with_assigned({"video": {"width": 640}}).video.width == 640


@pytest.mark.parametrize(
    "table",
    [
        {"video": {"fps": 3, "widht": 1}, "lens": {}},
        {"pins": {"beeper": 17}},
        {"video": {"fps": float("nan")}},
        {"policy": {"mute": "yes"}},
    ],
)
def test_every_problem_is_told_as_the_validator_tells_it(table: dict[str, object]) -> None:
    told = []
    for check in (config.check, config_process.check):
        with pytest.raises(ConfigError) as caught:
            check(table, "camera.toml")
        told.append((caught.value.message, caught.value.problems))
    assert told[0] == told[1]


def test_a_process_that_gives_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(MissingPartError, match="gave no answer"):
        config_process.check({}, "camera.toml")


def test_the_agent_loads_no_validator_no_codec_and_no_terminal() -> None:
    """What it loads it holds for a shift."""
    parts = "bwv_device.commands.run, bwv_device.camera.agent, bwv_device.backends.rpi_board"
    code = f"import sys, {parts}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not WHAT_A_CAMERA_DOES_WITHOUT & set(done.stdout.split())


def test_nothing_of_the_folder_it_is_called_in_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bwv_device").mkdir()
    (tmp_path / "bwv_device" / "__init__.py").write_text("raise SystemExit('a stranger')")
    monkeypatch.chdir(tmp_path)
    assert config_process.check({}, "camera.toml") == config.check({}, "camera.toml")
