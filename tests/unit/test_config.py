from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from bwv_device import config
from bwv_device.errors import ConfigError
from bwv_device.settings import Settings

MANUAL = Path(__file__).parents[2] / "config.toml"


def problems(text: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        config.parse(text.encode(), "test.toml")
    return dict(caught.value.problems)


def test_the_manual_is_exactly_the_defaults() -> None:
    assert tomllib.loads(MANUAL.read_text()) == Settings().as_dict()
    assert config.load(MANUAL).settings == Settings()


def test_every_setting_of_the_manual_has_a_comment() -> None:
    lines = MANUAL.read_text().splitlines()
    bare = [line for line in lines if "=" in line and "#" not in line]
    # Neighbours of a commented twin may stand bare.
    assert len(bare) <= 10, bare


def test_an_empty_file_is_the_defaults() -> None:
    assert config.parse(b"", "empty") == Settings()


def test_all_problems_come_at_once_with_place_and_remedy() -> None:
    found = problems(
        """
        [recording]
        pre_event_s = 300
        pre_evnt = 3
        batch_ms = "often"
        [fog]
        x = 1
        [video]
        fps = true
        """
    )
    assert found["recording.pre_event_s"] == (
        "input should be less than or equal to 120 seconds (found 300)"
    )
    assert found["recording.pre_evnt"] == ("there is no such setting; did you mean 'pre_event_s'?")
    assert "a whole number of milliseconds" in found["recording.batch_ms"]
    assert "no such setting" in found["fog"]
    assert "a whole number (found True)" in found["video.fps"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[recording]\nfragment_ms = 2000", "recording.loss_bound_ms"),
        ("[alarms]\nbattery_stop_percent = 5", "alarms.battery_stop_percent"),
        ("[alarms]\nbattery_critical_percent = 10", "alarms.battery_critical_percent"),
        ("[alarms]\nstorage_critical_min = 60", "alarms.storage_critical_min"),
        ("[buttons]\nstop_hold_ms = 1000\ndouble_press_ms = 1000", "buttons.stop_hold_ms"),
        ("[pins]\nbeeper = 17", "pins.beeper"),
        ("[sealing]\nrecipient_type = 'rsa'", "sealing.recipient_type"),
        ("[device]\nofficer = ''", "device.officer"),
        ("recording = 3", "recording"),
        ("x = ", "test.toml"),
    ],
)
def test_contradictions_and_nonsense(text: str, place: str) -> None:
    assert place in problems(text)


def test_a_missing_file_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can't be read: No such file"):
        config.load(tmp_path / "nowhere.toml")


def test_the_manual_of_custody_is_exactly_its_defaults() -> None:
    from dataclasses import asdict

    from bwv_device.custody.settings import CustodySettings

    manual = MANUAL.with_name("custody.toml")
    assert tomllib.loads(manual.read_text()) == asdict(CustodySettings())
