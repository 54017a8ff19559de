from __future__ import annotations

from dataclasses import replace

import pytest

from bwv_device.camera.health import free_space
from bwv_device.camera.health.battery_bands import Band, BatteryBands
from bwv_device.settings import MIB, Alarms, Settings
from hal.ports import PowerReading


def bands(*percents: int, charging: bool = False) -> list[str]:
    battery = BatteryBands(Alarms())
    seen = []
    for percent in percents:
        battery.feed(PowerReading(percent, charging, None))
        seen.append(battery.band.name)
    return seen


def test_bands_by_percent() -> None:
    assert bands(50, 11, 10, 6, 5, 3, 2, 0) == [
        *("NORMAL", "NORMAL", "LOW", "LOW", "CRITICAL", "CRITICAL", "EMPTY", "EMPTY")
    ]


def test_one_percent_up_and_down_is_one_alarm() -> None:
    battery = BatteryBands(Alarms())
    alarms = [battery.feed(PowerReading(p, False, None)) for p in (11, 10, 11, 10, 12, 10, 13, 10)]
    assert alarms == [False, True, False, False, False, False, False, True]


def test_a_charger_ends_empty_at_once() -> None:
    battery = BatteryBands(Alarms())
    battery.feed(PowerReading(1, False, None))
    assert battery.band is Band.EMPTY
    battery.feed(PowerReading(1, True, None))
    assert battery.band is Band.CRITICAL


def with_bitrate(kbps: int) -> Settings:
    return replace(Settings(), video=replace(Settings().video, bitrate_kbps=kbps))


@pytest.mark.parametrize("kbps", [200, 500, 1000, 1100, 4000, 8000])
def test_the_forecast_counts_padding_and_is_not_optimistic(kbps: int, camera) -> None:
    """Measured against what a minute of recording really takes."""
    from sim.world.world import stub_media

    it = camera(video={"bitrate_kbps": kbps}, media=stub_media(kbps * 1000))
    it.run(seconds=2)
    it.press_record_twice()
    it.run(seconds=10)
    before = it.disk.free_bytes()
    it.run(seconds=60)
    used = before - it.disk.free_bytes()
    forecast = 60 * free_space.growth_bytes_per_s(it.settings)
    assert used <= forecast <= used * 1.3


def test_time_left_stops_at_the_reserve() -> None:
    settings = Settings()
    assert free_space.seconds_left(settings, settings.storage.reserve_mib * MIB) == 0
    assert free_space.seconds_left(settings, 0) == 0
    hour = 3600 * free_space.growth_bytes_per_s(settings) + settings.storage.reserve_mib * MIB
    assert free_space.seconds_left(settings, hour) == 3600


def test_room_by_time_left() -> None:
    lefts = (5400, 3600, 3599, 1800, 1799, 20, 19)
    names = [free_space.room(Settings(), left).name for left in lefts]
    assert names == ["ENOUGH", "ENOUGH", "LOW", "LOW", "CRITICAL", "CRITICAL", "FULL"]
