"""The panel in a process of its own, on gpiozero's mock pins: orders go in, edges come out, and it
does not outlive, or survive hanging, unseen. What pins do when it dies is shown on kernel pins
(`make rig`): mock pins live in the process.
"""

from __future__ import annotations

import os
import queue
import signal
from collections.abc import Iterator
from dataclasses import asdict

import pytest

from bwv_device.camera.indicators import patterns
from bwv_device.settings import Pins
from hal.host import HostClock
from hal.ports import SECOND_NS, Edge, HardwareError
from hal.rpi.panel.panel_child import Daylight
from hal.rpi.panel.panel_messages import as_json, pattern_of
from hal.rpi.panel.panel_process import RemotePanel

WAIT_S = 20.0
LIGHT = {"day_percent": 100, "night_percent": 100, "night_from_h": 21, "night_until_h": 6}
ASKED = {
    "pins": asdict(Pins()), "factory": "mock", "chip": -1, "beeper_hz": 0, "light": LIGHT,
}  # fmt: skip


@pytest.fixture
def panel() -> Iterator[RemotePanel]:
    panel = RemotePanel(ASKED)
    yield panel
    panel.close()


def edges(panel: RemotePanel) -> queue.Queue[Edge]:
    heard: queue.Queue[Edge] = queue.Queue()
    panel.record_button.listen(heard.put)
    return heard


def test_edges_come_with_their_time(panel: RemotePanel) -> None:
    heard, clock = edges(panel), HostClock()
    before_ns = clock.monotonic_ns()
    panel.press("record")
    panel.release("record")
    down, up = heard.get(timeout=WAIT_S), heard.get(timeout=WAIT_S)
    assert (down.pressed, up.pressed) == (True, False)
    assert before_ns <= down.at_ns <= up.at_ns <= clock.monotonic_ns()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_dies_or_hangs_is_replaced_and_knows_what_is_shown(
    panel: RemotePanel, number: int
) -> None:
    failures: queue.Queue[str] = queue.Queue()
    panel.front_light.watch(failures.put)
    panel.front_light.show(patterns.NOT_STORED, None, patterns.DARK)
    first = panel.process
    heard = edges(panel)
    os.kill(first.pid, number)
    assert failures.get(timeout=WAIT_S) == "the panel's process ended"
    assert first.poll() == -signal.SIGKILL
    while True:  # the new one listens
        panel.press("record")
        panel.release("record")
        try:
            heard.get(timeout=0.5)
            break
        except queue.Empty:
            continue
    assert panel.process.pid != first.pid


def test_nonsense_is_no_reason_to_end(panel: RemotePanel) -> None:
    """Neither an order that is none, nor a word of the process that is none."""
    heard, first = edges(panel), panel.process
    for order in ({"output": "nowhere"}, {"play": 3}, {}, {"output": "beeper", "play": {}}):
        panel._order(order)
    panel.press("record")
    assert heard.get(timeout=WAIT_S).pressed
    assert panel.process is first


def test_a_button_that_was_held_when_the_process_died_is_let_go(panel: RemotePanel) -> None:
    """Or three seconds later the agent would take it for a stop."""
    heard = edges(panel)
    panel.press("record")
    assert heard.get(timeout=WAIT_S).pressed
    os.kill(panel.process.pid, signal.SIGKILL)
    assert not heard.get(timeout=WAIT_S).pressed


def test_the_process_ends_with_its_agent(panel: RemotePanel) -> None:
    process = panel.process
    panel.close()
    assert process.wait(WAIT_S) == 0


def test_pins_that_are_not_there_are_an_error_with_a_remedy() -> None:
    with pytest.raises(HardwareError) as caught:
        RemotePanel({**ASKED, "factory": "kernel"})
    assert "pins can't be opened" in str(caught.value)
    assert "gpio" in caught.value.remedy


@pytest.mark.parametrize(
    "pattern", [patterns.DARK, patterns.MUTED, patterns.STARTED, patterns.READY]
)
def test_patterns_come_through(pattern: object) -> None:
    assert pattern_of(as_json(pattern)) == pattern  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("start", "end", "hour", "night"),
    [
        (21, 6, 22, True), (21, 6, 5, True), (21, 6, 6, False), (21, 6, 12, False),
        (1, 4, 2, True), (1, 4, 4, False), (1, 4, 0, False),
    ],
)  # fmt: skip
def test_the_light_is_dimmed_at_night(start: int, end: int, hour: int, night: bool) -> None:
    light = Daylight(100, 30, start, end, lambda: hour)
    assert light.dimmed
    assert light.brightness() == (0.3 if night else 1.0)


def test_a_dimmed_light_and_a_tone_are_pulses() -> None:
    """On mock PWM pins, in this process: what is driven is a share, not a level."""
    from gpiozero.pins.mock import MockFactory, MockPWMPin

    from hal.panel.gpio_panel import Panel, PanelPins
    from sim.world.virtual_loop import VirtualLoop

    loop, factory = VirtualLoop(), MockFactory(pin_class=MockPWMPin)
    pins = PanelPins(**asdict(Pins()))
    panel = Panel(pins, loop, factory, brightness=lambda: 0.25, beeper_hz=2700)
    panel.front_light.show(patterns.NOT_STORED, None, patterns.DARK)
    panel.beeper.play(patterns.STARTED)
    loop.run_until(SECOND_NS // 20)
    assert factory.pin(pins.front_light).state == 0.25
    assert factory.pin(pins.beeper).state == 0.5
    panel.close()
