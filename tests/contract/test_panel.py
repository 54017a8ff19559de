"""The panel on gpiozero's mock pins, and patterns in time: the same code drives real pins."""

from __future__ import annotations

import pytest

from bwv_device.camera.indicators import patterns
from bwv_device.settings import Light
from hal.panel.gpio_panel import PanelPins
from hal.panel.pattern_player import QUEUE_LIMIT
from hal.ports import Edge, Level
from hal.simulated.panel import SimulatedPanel
from sim.world.virtual_loop import VirtualLoop

MS = 1_000_000
PINS = PanelPins(17, 22, 27, 18, 23, 5, 6)
RECORDING = patterns.recording(Light())


@pytest.fixture
def loop() -> VirtualLoop:
    return VirtualLoop()


@pytest.fixture
def panel(loop: VirtualLoop) -> SimulatedPanel:
    return SimulatedPanel(PINS, loop)


def levels(panel: SimulatedPanel, output: str = "front light") -> list[tuple[int, str]]:
    return [(s.at_ns // MS, s.level.value) for s in panel.history[output]]


def test_a_pattern_repeats_on_absolute_deadlines(panel: SimulatedPanel, loop: VirtualLoop) -> None:
    panel.panel.front_light.show(RECORDING, None, patterns.DARK)
    loop.run_until(2100 * MS)
    assert levels(panel) == [(0, "on"), (500, "off"), (1000, "on"), (1500, "off"), (2000, "on")]
    assert panel.factory.pin(PINS.front_light).state is True


def test_the_lease_ends_by_itself(panel: SimulatedPanel, loop: VirtualLoop) -> None:
    panel.panel.front_light.show(RECORDING, 1200 * MS, patterns.NOT_STORED)
    loop.run_until(1500 * MS)
    assert [s.pattern for s in panel.history["front light"] if s.at_ns >= 1200 * MS] == [
        "capturing, not stored"
    ] * 4


def test_a_renewed_lease_does_not_disturb_the_rhythm(
    panel: SimulatedPanel, loop: VirtualLoop
) -> None:
    light = panel.panel.front_light
    light.show(RECORDING, 2000 * MS, patterns.NOT_STORED)
    for at in range(300, 4000, 300):
        loop.call_at(
            at * MS, lambda at=at: light.show(RECORDING, (at + 2000) * MS, patterns.NOT_STORED)
        )
    loop.run_until(3900 * MS)
    assert [at for at, _ in levels(panel)] == list(range(0, 3900, 500))


def test_a_sound_plays_over_and_gives_way(panel: SimulatedPanel, loop: VirtualLoop) -> None:
    beeper = panel.panel.beeper
    beeper.show(patterns.QUIET, None, patterns.QUIET)
    beeper.play(patterns.STARTED)
    beeper.play(patterns.STOPPED)
    loop.run_until(3000 * MS)
    on = [(s.at_ns // MS, s.pattern) for s in panel.history["beeper"] if s.level is Level.ON]
    assert on == [
        (0, "recording started"),
        (220, "recording started"),
        (440, "recording stopped"),
    ]
    assert levels(panel, "beeper")[-1][1] == "off"


def test_waiting_sounds_are_bounded_and_counted(panel: SimulatedPanel, loop: VirtualLoop) -> None:
    for _ in range(QUEUE_LIMIT + 5):
        panel.panel.beeper.play(patterns.STARTED)
    loop.run_until(60_000 * MS)
    assert panel.panel.beeper.dropped == 4


def test_colours_are_two_pins(panel: SimulatedPanel, loop: VirtualLoop) -> None:
    light = panel.panel.status_light
    for pattern, green, red in (
        (patterns.DOCKED, True, False),
        (patterns.FAULT, False, True),
        (patterns.UNABLE, True, True),
        (patterns.DARK, False, False),
    ):
        light.show(pattern, None, pattern)
        loop.run_until(loop.now_ns() + 10 * MS)
        assert panel.factory.pin(PINS.status_green).state is green
        assert panel.factory.pin(PINS.status_red).state is red


def test_every_edge_of_a_button_arrives_with_its_time(
    panel: SimulatedPanel, loop: VirtualLoop
) -> None:
    edges: list[Edge] = []
    panel.panel.record_button.listen(edges.append)
    for at, act in ((5, panel.press), (6, panel.release), (7, panel.press), (90, panel.release)):
        loop.call_at(at * MS, lambda act=act: act("record"))
    loop.run_until(100 * MS)
    assert edges == [
        Edge(True, 5 * MS),
        Edge(False, 6 * MS),
        Edge(True, 7 * MS),
        Edge(False, 90 * MS),
    ]


def test_a_broken_lamp_is_told_and_the_schedule_goes_on(
    panel: SimulatedPanel, loop: VirtualLoop
) -> None:
    told: list[str] = []
    light = panel.panel.front_light
    light.watch(told.append)
    light.show(RECORDING, None, patterns.DARK)
    loop.run_until(700 * MS)
    panel.break_output("front_light")
    loop.run_until(2700 * MS)
    assert told
    assert "no current flows" in told[0]
    panel.repair_output("front_light")
    loop.run_until(4100 * MS)
    assert levels(panel)[-1] == (4000, "on")


def test_power_off_leaves_everything_dark(panel: SimulatedPanel, loop: VirtualLoop) -> None:
    panel.panel.front_light.show(RECORDING, None, patterns.DARK)
    loop.run_until(100 * MS)
    panel.power_off()
    assert levels(panel)[-1] == (100, "off")
