from __future__ import annotations

import pytest

from bwv_device.camera.control.button_gestures import Gesture, Gestures
from bwv_device.settings import Buttons
from hal.ports import Edge
from hal.simulated.panel import Touch
from sim.oracle import gestures as judged
from sim.random_streams import Draws
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
        ("M@0 m@100 M@300 m@400 M@600 m@1590", [Gesture.MARKER_TRIPLE]),
        (
            "M@0 m@100 M@300 m@400 M@600 m@1700",
            [Gesture.MARKER_TRIPLE, Gesture.MARKER_TRIPLE_LET_GO],
        ),
        # The other button ends it; and the fourth press is none.
        (
            "M@0 m@100 M@300 m@400 M@600 R@2000 r@2100 m@3000",
            [Gesture.MARKER_TRIPLE, Gesture.MARKER_TRIPLE_LET_GO],
        ),
        ("M@0 m@100 M@300 m@400 M@600 m@700 M@800 m@3000", [Gesture.MARKER_TRIPLE]),
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


def test_a_button_that_sticks_does_not_mute_for_ever() -> None:
    assert gestures("M@0 m@100 M@300 m@400 M@600") == [
        Gesture.MARKER_TRIPLE,
        Gesture.MARKER_TRIPLE_LET_GO,
        Gesture.MARKER_STUCK,
    ]


def test_starting_and_stopping_are_never_the_same_movement() -> None:
    """No sequence of presses shorter than the hold gives a stop."""
    for gap in range(50, 900, 50):
        for held in range(30, 2900, 410):
            second = held + gap
            script = f"R@0 r@{held} R@{second} r@{second + 100}"
            assert Gesture.RECORD_HOLD not in gestures(script), script


# --- another model of the same rules ------------------------------------------------------------

NAMES = {
    Gesture.RECORD_SINGLE: judged.PRESS,
    Gesture.RECORD_DOUBLE: judged.TWICE,
    Gesture.RECORD_HOLD: judged.HELD,
    Gesture.RECORD_DOUBLE_HELD: judged.TWICE_HELD,
    Gesture.MARKER_SINGLE: judged.PRESS,
    Gesture.MARKER_DOUBLE: judged.MARKER_TWICE,
    Gesture.MARKER_TRIPLE: judged.MARKER_THRICE,
    Gesture.MARKER_HOLD: judged.MARKER_HELD,
    Gesture.MARKER_TRIPLE_LET_GO: judged.MARKER_LET_GO,
    Gesture.BOTH_HOLD: judged.BOTH,
    Gesture.RECORD_STUCK: judged.STUCK,
    Gesture.MARKER_STUCK: judged.STUCK,
}
HABITS = judged.Habits(20 * MS, 600 * MS, 3000 * MS, 2000 * MS, 5000 * MS, 1000 * MS)


def drawn_touches(seed: int) -> list[Touch]:
    """A minute or two of fingers that press, hold, hurry, chatter and meet."""
    draws = Draws(seed, "fingers")
    touches: list[Touch] = []
    for button in ("record", "marker"):
        own, at_ms, down = draws.stream(button), 0, False
        for _ in range(own.between(2, 60)):
            waits = ((1, 40), (60, 300), (300, 900), (1900, 3200), (4900, 6000), (61_000, 62_000))
            first, last = own.pick((waits[0], *(waits[1],) * 4, *(waits[2],) * 2, *waits[3:]))
            at_ms, down = at_ms + own.between(first, last), not down
            # No two things at one instant: then the order would be anybody's guess.
            at_ns = at_ms * MS + own.below(MS)
            touches.append(Touch(at_ns, button, down))
    return sorted(touches)


@pytest.mark.parametrize("seed", range(300))
def test_the_agent_and_the_judge_understand_fingers_alike(seed: int) -> None:
    """The judge's model is written from docs/cues.md; neither knows the other."""
    touches = drawn_touches(seed)
    loop, seen = VirtualLoop(), list[tuple[int, str]]()
    hands = Gestures(loop, Buttons(), lambda gesture: seen.append((loop.now_ns(), NAMES[gesture])))
    for touch in touches:
        contact = hands.record if touch.button == "record" else hands.marker
        edge = Edge(touch.down, touch.at_ns)
        loop.call_at(edge.at_ns, lambda contact=contact, edge=edge: contact.edge(edge))
    until_ns = touches[-1].at_ns + 70_000 * MS
    loop.run_until(until_ns)
    meant = [
        (meaning.at_ns, meaning.name) for meaning in judged.meanings(touches, HABITS, until_ns)
    ]
    assert sorted(seen) == sorted(meant)
