"""Pins under gpiozero's devices: its mock, and ours on a kernel that is a fake with a memory. The
same clauses run on gpio-sim (`make rig`)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gpiozero import DigitalInputDevice, PWMOutputDevice
from gpiozero.exc import PinInvalidPin, PinPWMUnsupported
from gpiozero.pins.mock import MockFactory, MockPWMPin
from support import pins_contract
from support.fake_gpio import LINES, FakeChip

from hal.rpi.panel import gpio_chip, hardware_pwm
from hal.rpi.panel.hardware_pwm import NoPwmError, PwmChannel
from hal.rpi.panel.line_pins import LineFactory
from hal.rpi.panel.pin_factory import open_factory

PIN = 5
MOCK_CAN_NOT = (
    pins_contract.outputs_are_driven,
    pins_contract.what_is_pressed_at_the_start_is_seen,
)


class MockOutside:
    def __init__(self, factory: MockFactory) -> None:
        self._factory = factory

    def level(self, pin: int) -> bool:
        return bool(self._factory.pin(pin).state)

    def drive(self, pin: int, high: bool) -> None:
        one = self._factory.pin(pin)
        (one.drive_high if high else one.drive_low)()


@pytest.fixture
def chip() -> FakeChip:
    return FakeChip()


@pytest.fixture
def lines(chip: FakeChip, monkeypatch: pytest.MonkeyPatch) -> Iterator[LineFactory]:
    monkeypatch.setattr("hal.rpi.panel.line_pins.Chip", lambda path: chip)
    factory = LineFactory(Path("/dev/gpiochip0"))
    yield factory
    factory.close()


@pytest.mark.parametrize("clause", pins_contract.CLAUSES)
def test_mock_pins(clause: Callable[..., None]) -> None:
    factory = MockFactory(pin_class=MockPWMPin)
    if clause in MOCK_CAN_NOT:
        pytest.xfail("a mock pin keeps its level when it is let go, and takes that of its pull")
    clause(factory, MockOutside(factory), PIN)


@pytest.mark.parametrize("clause", pins_contract.CLAUSES)
def test_lines(clause: Callable[..., None], lines: LineFactory, chip: FakeChip) -> None:
    clause(lines, chip, PIN)
    assert chip.lines == {}, "every line was let go"


def test_the_structures_are_the_kernels() -> None:
    """Sizes of linux/gpio.h; they stand in the numbers of its requests too."""
    sizes = {
        number: number >> 16 & 0x3FFF
        for number in (
            gpio_chip._CHIP_INFO,
            gpio_chip._GET_LINE,
            gpio_chip._SET_CONFIG,
            gpio_chip._SET_VALUES,
        )
    }
    assert sorted(sizes.values()) == [16, 68, 272, 592]
    assert gpio_chip._EVENT.size == 48
    config = gpio_chip._config(gpio_chip.OUTPUT, high=True, debounce_us=0)
    assert len(config) == 272
    assert struct.unpack_from("=QI", config) == (gpio_chip.OUTPUT, 1)
    assert struct.unpack_from("=IIQQ", config, 32) == (2, 0, 1, 1)
    bounced = gpio_chip._config(gpio_chip.INPUT, high=False, debounce_us=700)
    assert struct.unpack_from("=IIIIQ", bounced, 32) == (3, 0, 700, 0, 1)


def test_bounces_are_the_kernels_to_swallow(lines: LineFactory, chip: FakeChip) -> None:
    device = DigitalInputDevice(PIN, pull_up=True, bounce_time=0.02, pin_factory=lines)
    assert chip.debounce_us[PIN] == 20_000
    device.close()


@pytest.mark.parametrize("pin", [-1, LINES, "BOARD7", None])
def test_a_pin_that_is_none(lines: LineFactory, pin: Any) -> None:
    with pytest.raises(PinInvalidPin):
        lines.pin(pin)


def test_an_edge_that_breaks_its_hearer_does_not_end_the_thread(
    lines: LineFactory, chip: FakeChip
) -> None:
    heard: list[bool] = []
    device = DigitalInputDevice(PIN, pull_up=True, pin_factory=lines)
    pin = lines.pin(PIN)

    def hear(ticks: float, state: int) -> None:
        heard.append(bool(state))
        if len(heard) == 1:
            raise RuntimeError("a bug above")

    pin.when_changed = hear
    chip.drive(PIN, False)
    pins_contract.until(lambda: len(heard) == 1, "the first edge")
    chip.drive(PIN, True)
    pins_contract.until(lambda: len(heard) == 2, "the second edge")
    device.close()


# --- PWM -----------------------------------------------------------------------------------------


@pytest.fixture
def counters(tmp_path: Path) -> Path:
    """The kernel's files of a PWM chip whose channel 0 is exported already."""
    chip = tmp_path / "pwmchip0"
    (chip / "pwm0").mkdir(parents=True)
    for name in ("export", "unexport", "pwm0/duty_cycle", "pwm0/period", "pwm0/enable"):
        (chip / name).write_text("")
    return tmp_path


def said(counters: Path, name: str) -> str:
    return (counters / "pwmchip0" / "pwm0" / name).read_text()


def test_brightness_is_the_boards_own_counter(counters: Path) -> None:
    channel = PwmChannel(12, 2000, counters)
    assert (said(counters, "period"), said(counters, "duty_cycle")) == ("500000", "0")
    channel.set(0.25)
    assert said(counters, "duty_cycle") == "125000"
    channel.close()
    assert (said(counters, "duty_cycle"), said(counters, "enable")) == ("0", "0")


def test_a_pin_without_a_counter_is_refused(
    counters: Path, lines: LineFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread that wakes thousands of times a second takes its place."""
    with pytest.raises(NoPwmError, match="pin 17 has no PWM"):
        PwmChannel(17, 2000, counters)
    with pytest.raises(NoPwmError):
        PwmChannel(12, 2000, counters / "none")
    monkeypatch.setattr(hardware_pwm, "SYS", counters / "none")
    with pytest.raises(PinPWMUnsupported):
        PWMOutputDevice(17, frequency=2000, pin_factory=lines)


def test_mock_pins_by_name() -> None:
    assert isinstance(open_factory("mock"), MockFactory)
