"""What movements of fingers mean, by docs/cues.md alone: nothing here comes from the agent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hal.ports import SECOND_NS
from hal.simulated.panel import Touch

STUCK_NS = 60 * SECOND_NS
MS = 1_000_000

TWICE, TWICE_HELD, HELD = "record twice", "record twice, and held", "record held"
PRESS = "a press"
MARKER_TWICE, MARKER_THRICE, MARKER_HELD = "marker twice", "marker three times", "marker held"
MARKER_LET_GO = "marker let go"
BOTH, STUCK = "both held", "stuck"


class Meaning(NamedTuple):
    """A gesture, when it came to be one, and when its last press went down."""

    at_ns: int
    name: str
    down_ns: int


class Habits(NamedTuple):
    """The figures of docs/cues.md, in nanoseconds."""

    debounce_ns: int
    series_ns: int
    record_hold_ns: int
    marker_hold_ns: int
    both_ns: int
    mute_hold_ns: int


@dataclass(slots=True)
class _Button:
    """One button's series of presses, as far as it has come."""

    hold_ns: int
    at_once: dict[int, str]
    in_the_end: dict[int, str]
    held: dict[int, str]
    down: bool = False
    count: int = 0
    over: bool = False
    down_ns: int | None = None
    lasts_ns: int | None = None  # since when what was taken at once has been held
    due: list[tuple[int, str]] = field(default_factory=list)


def meanings(touches: Sequence[Touch], habits: Habits, until_ns: int) -> list[Meaning]:
    """All gestures of one life of a camera, by time. `touches` are its contacts' changes."""
    buttons = {
        "record": _Button(habits.record_hold_ns, {2: TWICE}, {1: PRESS}, {1: HELD, 2: TWICE_HELD}),
        "marker": _Button(
            habits.marker_hold_ns,
            {3: MARKER_THRICE},
            {1: PRESS, 2: MARKER_TWICE},
            {1: MARKER_HELD},
        ),
    }
    found: list[Meaning] = []
    both_ns: int | None = None
    changes = sorted(
        (at_ns, name, down)
        for name in buttons
        for at_ns, down in _debounced([t for t in touches if t.button == name], habits.debounce_ns)
    )
    for at_ns, name, down in [*changes, (until_ns, "", False)]:
        both_ns = _both_held(both_ns, at_ns, habits, found)
        for each in buttons.values():
            _come_due(each, at_ns, habits, found)
        if not name:
            break
        button = buttons[name]
        button.due.clear()
        button.down = down
        if down:
            _press(button, at_ns, habits, found)
        else:
            _let_go(button, at_ns, habits, found)
            _release(button, at_ns, habits)
        both_ns = None
        if all(each.down for each in buttons.values()):
            both_ns = at_ns
            for each in buttons.values():
                _let_go(each, at_ns, habits, found)
                each.due.clear()
                each.count, each.over = 0, True
    return sorted(found)


def _debounced(touches: Iterable[Touch], debounce_ns: int) -> list[tuple[int, bool]]:
    """The changes that count."""
    rest = list(touches)
    counted: list[tuple[int, bool]] = []
    down, since_ns = False, None
    while rest:
        quiet_ns = 0 if since_ns is None else since_ns + debounce_ns
        looked_ns = max(rest[0].at_ns, quiet_ns)
        contact = down
        while rest and rest[0].at_ns <= looked_ns:
            contact = rest.pop(0).down
        if contact != down:
            down, since_ns = contact, looked_ns
            counted.append((looked_ns, down))
    return counted


def _press(button: _Button, at_ns: int, habits: Habits, found: list[Meaning]) -> None:
    again = button.down_ns is not None and at_ns - button.down_ns <= habits.series_ns
    button.down_ns = at_ns
    if not again:
        button.count, button.over = 0, False
    if button.over:
        return
    button.count += 1
    button.due = [(at_ns + button.hold_ns, "hold"), (at_ns + STUCK_NS, STUCK)]
    if button.count in button.at_once:
        button.over, button.lasts_ns = True, at_ns
        found.append(Meaning(at_ns, button.at_once[button.count], at_ns))


def _release(button: _Button, at_ns: int, habits: Habits) -> None:
    if not button.over and button.count:
        assert button.down_ns is not None
        button.due = [(max(at_ns, button.down_ns + habits.series_ns), "end")]


def _let_go(button: _Button, at_ns: int, habits: Habits, found: list[Meaning]) -> None:
    """The end of a press that was taken at once: of the third of the marker button it counts."""
    since_ns, button.lasts_ns = button.lasts_ns, None
    muting = MARKER_THRICE in button.at_once.values()
    if muting and since_ns is not None and at_ns - since_ns >= habits.mute_hold_ns:
        found.append(Meaning(at_ns, MARKER_LET_GO, since_ns))


def _come_due(button: _Button, now_ns: int, habits: Habits, found: list[Meaning]) -> None:
    """What time alone has made of it until now."""
    for at_ns, what in [due for due in button.due if due[0] <= now_ns]:
        button.due.remove((at_ns, what))
        assert button.down_ns is not None
        if what == STUCK:
            _let_go(button, at_ns, habits, found)
            found.append(Meaning(at_ns, STUCK, button.down_ns))
        elif what == "hold" and button.count in button.held:
            found.append(Meaning(at_ns, button.held[button.count], button.down_ns))
            button.over = True
        elif what == "end":
            if button.count in button.in_the_end:
                found.append(Meaning(at_ns, button.in_the_end[button.count], button.down_ns))
            button.count = 0


def _both_held(
    since_ns: int | None, now_ns: int, habits: Habits, found: list[Meaning]
) -> int | None:
    """Since when both are down and may still come to something."""
    if since_ns is None or since_ns + habits.both_ns > now_ns:
        return since_ns
    found.append(Meaning(since_ns + habits.both_ns, BOTH, since_ns))
    return None
