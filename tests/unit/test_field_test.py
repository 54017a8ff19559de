"""The judgement of a field test: each limit from both sides, a remedy wherever one is missed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bwv_device.camera.indicators import patterns
from bwv_device.field_test import judgement, storage
from bwv_device.field_test import soak as soaking
from bwv_device.field_test.capture import Observation, PlayedPattern
from bwv_device.field_test.findings import Finding, Grade
from bwv_device.field_test.hearing import Beep
from bwv_device.field_test.seeing import Flashing
from bwv_device.field_test.soak import Soaked, soak
from bwv_device.settings import Settings
from hal.ports import (
    SECOND_NS,
    AccessUnit,
    AudioFormat,
    CaptureLoss,
    Impairment,
    PowerReading,
    Track,
    UtcReading,
    VideoFormat,
)
from hal.simulated.clock import SimulatedClock
from sim.world.virtual_loop import VirtualLoop

VIDEO = VideoFormat(1280, 720, 30, 4_000_000, "test")
AUDIO = AudioFormat(48_000, 1, 64_000, b"\x11\x88")
FRAME_NS = SECOND_NS // 30
SOUND_NS = 1024 * SECOND_NS // 48_000


def seen(*, fps: float = 30, seconds: int = 10, drop: int = 0, ppm: float = 0) -> Observation:
    loop = VirtualLoop(SECOND_NS)
    it = Observation(SimulatedClock(loop, 0))
    loop.run_until(2 * SECOND_NS)
    numbers = [n for n in range(round(seconds * fps)) if not drop or n % drop]
    it.units(
        [AccessUnit(Track.VIDEO, round(n * SECOND_NS / fps), FRAME_NS, n == 0, bytes(16_000))
         for n in numbers]
    )  # fmt: skip
    step_ns = SOUND_NS / (1 + ppm / 1e6)
    it.units(
        [AccessUnit(Track.AUDIO, round(n * step_ns), SOUND_NS, True, b"x") for n in range(400)]
    )
    return it


def status(findings: list[Finding], what: str) -> Grade:
    (found,) = [finding for finding in findings if finding.what == what]
    assert bool(found.remedy) == (found.status is not Grade.GOOD)
    return found.status


def test_a_good_camera_is_good() -> None:
    assert {finding.status for finding in judgement.camera(seen(), VIDEO)} == {Grade.GOOD}


@pytest.mark.parametrize(("fps", "wanted"), [(29.9, Grade.GOOD), (28, Grade.POOR), (22, Grade.BAD)])
def test_frame_rates(fps: float, wanted: Grade) -> None:
    assert status(judgement.camera(seen(fps=fps), VIDEO), "frame rate") is wanted


@pytest.mark.parametrize(("drop", "wanted"), [(0, "GOOD"), (150, "POOR"), (20, "BAD")])
def test_lost_pictures(drop: int, wanted: str) -> None:
    assert status(judgement.camera(seen(drop=drop), VIDEO), "pictures lost") is Grade[wanted]


def test_no_camera_and_no_microphone_say_why() -> None:
    it = Observation(SimulatedClock(VirtualLoop(), 0))
    it.lost(CaptureLoss(Track.AUDIO, 0, "there is no microphone"))
    (camera,), (sound,) = judgement.camera(it, VIDEO), judgement.microphone(it, AUDIO, -120)
    assert camera.status is sound.status is Grade.BAD
    assert sound.measured == "there is no microphone"


def test_a_covered_lens_is_bad() -> None:
    it = seen()
    it.impaired(Impairment(Track.VIDEO, "covered", True))
    assert status(judgement.camera(it, VIDEO), "view") is Grade.BAD


@pytest.mark.parametrize(("ppm", "wanted"), [(0, "GOOD"), (200, "GOOD"), (-900, "POOR")])
def test_sample_clocks(ppm: float, wanted: str) -> None:
    it = seen(ppm=ppm)
    assert judgement.drift_ppm(it, AUDIO) == pytest.approx(ppm, abs=1)
    assert status(judgement.microphone(it, AUDIO, -30), "sample clock") is Grade[wanted]


@pytest.mark.parametrize(("level", "wanted"), [(-30, "GOOD"), (-90, "POOR"), (-2, "POOR")])
def test_levels(level: float, wanted: str) -> None:
    assert status(judgement.microphone(seen(), AUDIO, level), "level") is Grade[wanted]


@pytest.mark.parametrize(
    ("late_s", "heard", "beeper", "late"),
    [(0.03, 2, "GOOD", "GOOD"), (0.2, 2, "GOOD", "POOR"), (0.03, 0, "BAD", None)],
)
def test_beeps_that_are_heard(late_s: float, heard: int, beeper: str, late: str | None) -> None:
    played = [PlayedPattern(10 * SECOND_NS, patterns.STARTED)]
    beeps = [Beep(3 + late_s, 0.1, -20.0), Beep(3.22 + late_s, 0.1, -21.0)][:heard]
    matched = judgement.match(played, beeps, 7 * SECOND_NS)
    found = judgement.beeper(matched, 2700, beeps)
    assert status(found, "heard by the microphone") is Grade[beeper]
    if late:
        assert status(found, "heard after it was driven") is Grade[late]
    else:
        assert len(found) == 1


@pytest.mark.parametrize(
    ("flashes", "wanted"),
    [
        (Flashing(0.5, 0.5, 8, (0.5, 0.5)), "GOOD"),
        (Flashing(0.5, 0.533, 8, (0.5, 0.5)), "GOOD"),
        (Flashing(0.5, 0.7, 8, (0.5, 0.5)), "BAD"),
        (None, "BAD"),
    ],
)
def test_the_light_in_the_mirror(flashes: Flashing | None, wanted: str) -> None:
    assert judgement.light(flashes, Settings()).status is Grade[wanted]


@pytest.mark.parametrize(
    ("reading", "what", "wanted"),
    [
        (PowerReading(80, False, 500, False, 50), "battery", "GOOD"),
        (PowerReading(8, False, 30, False, 50), "battery", "BAD"),
        (PowerReading(8, True, None, False, 50), "battery", "GOOD"),
        (PowerReading(80, False, 500, True, 50), "supply", "BAD"),
        (PowerReading(80, False, 500, False, 78), "temperature", "POOR"),
        (PowerReading(80, False, 500, False, 85), "temperature", "BAD"),
    ],
)
def test_power_and_heat(reading: PowerReading, what: str, wanted: str) -> None:
    assert status(judgement.power(reading, Settings()), what) is Grade[wanted]


def test_a_clock_that_nobody_set_is_no_reason_to_stay_at_home() -> None:
    assert judgement.clock(UtcReading(0, 1 << 62, "none")).status is Grade.POOR
    assert judgement.clock(UtcReading(0, 1000, "ntp")).status is Grade.GOOD


# --- storage -------------------------------------------------------------------------------------


def judge(milliseconds: list[float], free: int = 100 << 30, **video: Any) -> list[Finding]:
    settings = replace(Settings(), video=replace(Settings().video, **video))
    return storage.judge(storage.StorageTest(milliseconds, free), settings)


@pytest.mark.parametrize(
    ("milliseconds", "speed", "loss"),
    [
        ([20.0] * 200, "GOOD", "GOOD"),
        ([20.0] * 195 + [2000.0] * 5, "GOOD", "POOR"),
        ([400.0] * 200, "POOR", "GOOD"),
        ([700.0] * 200, "BAD", "GOOD"),
        ([20.0] * 199 + [9000.0], "GOOD", "BAD"),
    ],
)
def test_cards(milliseconds: list[float], speed: str, loss: str) -> None:
    found = judge(milliseconds)
    assert found[1].status is Grade[speed]
    assert status(found, "what a power cut may cost here") is Grade[loss]


@pytest.mark.parametrize(
    ("kind", "wanted"), [("ext4", "GOOD"), ("overlay", "BAD"), ("tmpfs", "BAD")]
)
def test_a_vault_that_a_power_loss_erases_is_bad(kind: str, wanted: str) -> None:
    found = storage.judge(storage.StorageTest([20.0] * 200, 1 << 36, kind), Settings())
    assert status(found, "footage survives a power loss") is Grade[wanted]


@pytest.mark.parametrize(("gib", "wanted"), [(100, "GOOD"), (1.4, "POOR"), (0.3, "BAD")])
def test_room(gib: float, wanted: str) -> None:
    found = judge([1.0], int(gib * (1 << 30)))
    assert status(found, "room for recordings") is Grade[wanted]


def test_storage_is_measured_with_what_the_recorder_writes(tmp_path: Path) -> None:
    ticks = itertools.count(0, 3_000_000)
    test = storage.measure(tmp_path / "vault", Settings(), 25, lambda: next(ticks))
    assert test.latencies_ms == [3.0] * 25
    assert list((tmp_path / "vault").iterdir()) == []
    assert storage.fragment_bytes(Settings()) == 4_064_000 // 8 // 2


def test_a_folder_that_can_not_be_written_is_an_error() -> None:
    with pytest.raises(OSError, match="check"):
        storage.measure(Path("/proc"), Settings(), 10)


SOAKED = Soaked(8.0, 11.0, 90.0, 180.0, 9000, 2, 61)


def test_a_soak_that_keeps_its_budgets() -> None:
    assert {found.status for found in soaking.judge(SOAKED)} == {Grade.GOOD}
    silent = soaking.judge(SOAKED._replace(celsius=None))
    assert "does not say" in silent[-1].measured


@pytest.mark.parametrize(
    ("what", "worse", "grade"),
    [
        ("ready after the start", {"ready_s": 15.1}, Grade.POOR),
        ("first picture after the start", {"first_picture_s": 21.0}, Grade.POOR),
        ("processor, all processes", {"processor_percent": 121.0}, Grade.POOR),
        ("memory, all processes", {"memory_mib": 191.0}, Grade.POOR),
        ("pictures lost", {"lost": 20}, Grade.POOR),
        ("pictures lost", {"lost": 200}, Grade.BAD),
        ("temperature", {"celsius": 81}, Grade.POOR),
    ],
)
def test_each_budget_that_is_missed_is_said(
    what: str, worse: dict[str, float], grade: Grade
) -> None:
    missed = [f for f in soaking.judge(SOAKED._replace(**worse)) if f.status is not Grade.GOOD]
    assert [(found.what, found.status) for found in missed] == [(what, grade)]
    assert missed[0].remedy


def test_a_soak_that_can_not_begin_is_one_bad_line(tmp_path: Path) -> None:
    settings = Settings()
    device = replace(settings.device, vault=str(tmp_path / "vault"), key=str(tmp_path / "none"))
    (found,) = soak(replace(settings, device=device), "sim", 1, lambda share: None)
    assert found.status is Grade.BAD
    assert "can't be used" in found.measured or "no keys" in found.measured
    assert not list(tmp_path.glob("soak-*"))
