from __future__ import annotations

import pytest

from bwv_device.camera.control.button_gestures import Gesture, Gestures
from bwv_device.settings import Buttons
from hal.ports import Edge
from sim.world.virtual_loop import VirtualLoop

MS = 1_000_000


def gestures(script: str) -> list[Gesture]:
    """Plays edges such as "R@0 r@100 M@300 m@400": capital pressed, small released, in ms."""
    loop = VirtualLoop()
    seen: list[Gesture] = []
    hands = Gestures(loop, Buttons(), seen.append)
    for word in script.split():
        letter, _, at = word.partition("@")
        contact = hands.record if letter in "Rr" else hands.marker
        edge = Edge(letter.isupper(), int(at) * MS)
        loop.call_at(edge.at_ns, lambda contact=contact, edge=edge: contact.edge(edge))
    loop.run_until(100_000 * MS)
    return seen


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("R@0 r@100", [Gesture.RECORD_SINGLE]),
        ("R@0 r@100 R@400 r@500", [Gesture.RECORD_DOUBLE]),
        ("R@0 r@100 R@600 r@700", [Gesture.RECORD_DOUBLE]),
        ("R@0 r@100 R@601 r@700", [Gesture.RECORD_SINGLE, Gesture.RECORD_SINGLE]),
        # An impatient finger starts once, and neither stops nor marks.
        ("R@0 r@80 R@200 r@280 R@400 r@480 R@600 r@680", [Gesture.RECORD_DOUBLE]),
        ("R@0 r@3100", [Gesture.RECORD_HOLD]),
        ("R@0 r@2900", [Gesture.RECORD_SINGLE]),
        # Whether the second of two presses, held long, stops is for the agent: not what it started.
        ("R@0 r@100 R@300 r@4000", [Gesture.RECORD_DOUBLE, Gesture.RECORD_DOUBLE_HELD]),
        ("M@0 m@100", [Gesture.MARKER_SINGLE]),
        ("M@0 m@100 M@300 m@400", [Gesture.MARKER_DOUBLE]),
        ("M@0 m@100 M@300 m@400 M@600 m@700", [Gesture.MARKER_TRIPLE]),
        ("M@0 m@2100", [Gesture.MARKER_HOLD]),
        ("R@0 M@50 r@5200 m@5300", [Gesture.BOTH_HOLD]),
        ("R@0 M@50 r@3500 m@3600", []),
        # Bounce on both edges is one press.
        ("R@0 r@2 R@4 r@7 R@9 r@100 R@103 r@106", [Gesture.RECORD_SINGLE]),
        # A press shorter than the debounce time is a press all the same.
        ("R@0 r@10", [Gesture.RECORD_SINGLE]),
        ("R@0 r@10 R@200 r@210", [Gesture.RECORD_DOUBLE]),
    ],
)
def test_hands(script: str, expected: list[Gesture]) -> None:
    assert gestures(script) == expected


def test_a_stuck_button_is_noticed_once() -> None:
    assert gestures("R@0") == [Gesture.RECORD_HOLD, Gesture.RECORD_STUCK]
    assert gestures("M@0") == [Gesture.MARKER_HOLD, Gesture.MARKER_STUCK]


def test_starting_and_stopping_are_never_the_same_movement() -> None:
    """No sequence of presses shorter than the hold gives a stop."""
    for gap in range(50, 900, 50):
        for held in range(30, 2900, 410):
            second = held + gap
            script = f"R@0 r@{held} R@{second} r@{second + 100}"
            assert Gesture.RECORD_HOLD not in gestures(script), script
