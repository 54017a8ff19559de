"""Turns button edges into presses, multiple presses and holds. Debouncing happens here, not in a
library.

Two presses start a recording; a long hold stops it. The two movements are different on purpose: an
impatient finger must not stop what it wanted to start.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from bwv_device.camera.loop import Loop
from bwv_device.settings import Buttons, milliseconds, seconds
from hal.ports import Edge, Timer

STUCK_NS = seconds(60)


class Gesture(enum.Enum):
    """A gesture on the buttons."""

    RECORD_SINGLE = "record button pressed once"
    RECORD_DOUBLE = "record button pressed twice"
    RECORD_HOLD = "record button held"
    RECORD_DOUBLE_HELD = "record button pressed twice, and held the second time"
    MARKER_SINGLE = "marker button pressed once"
    MARKER_DOUBLE = "marker button pressed twice"
    MARKER_TRIPLE = "marker button pressed three times"
    MARKER_TRIPLE_LET_GO = "marker button let go, which was held at its third press"
    MARKER_HOLD = "marker button held"
    BOTH_HOLD = "both buttons held"
    RECORD_STUCK = "record button stuck"
    MARKER_STUCK = "marker button stuck"


class _Contact:
    """One button: debouncing, counting presses, measuring holds."""

    def __init__(
        self,
        loop: Loop,
        settings: Buttons,
        hold_ms: int,
        counted: dict[int, Gesture],
        at_once: int,
        held: tuple[Gesture, Gesture],
        emit: Callable[[Gesture], None],
        changed: Callable[[], None],
        held_on: Gesture | None = None,
        let_go: tuple[int, Gesture] | None = None,
    ) -> None:
        """`let_go`: how long, in milliseconds, the press that was taken at once must have been held
        for its end to be a gesture."""
        self._loop, self._emit, self._changed = loop, emit, changed
        self._debounce_ns = milliseconds(settings.debounce_ms)
        self._window_ns = milliseconds(settings.double_press_ms)
        self._hold_ns = milliseconds(hold_ms)
        self._counted, self._at_once, self._held = counted, at_once, held
        self._held_on, self._let_go = held_on, let_go
        self._taken_ns: int | None = None
        self.pressed = False
        self._raw = False
        self._changed_ns: int | None = None
        self._pressed_ns: int | None = None
        self._count = 0
        self._done = False
        self._timers: list[Timer] = []
        self._settle: Timer | None = None

    def edge(self, edge: Edge) -> None:
        self._raw = edge.pressed
        quiet_ns = self._changed_ns is None or edge.at_ns - self._changed_ns >= self._debounce_ns
        if quiet_ns:
            self._accept(edge.at_ns)
        elif self._settle is None:
            assert self._changed_ns is not None
            when_ns = self._changed_ns + self._debounce_ns
            self._settle = self._loop.call_at(when_ns, self._settled)

    def cancel(self) -> None:
        """Forgets an unfinished gesture: it became another one."""
        self._end_of_what_was_taken(self._loop.now_ns())
        self._clear_timers()
        self._count, self._done = 0, True

    def _settled(self) -> None:
        self._settle = None
        self._accept(self._loop.now_ns())

    def _accept(self, at_ns: int) -> None:
        if self._raw == self.pressed:
            return
        self.pressed, self._changed_ns = self._raw, at_ns
        self._clear_timers()
        self._changed()
        if self.pressed:
            self._press(at_ns)
        else:
            self._end_of_what_was_taken(at_ns)
            self._release()

    def _press(self, at_ns: int) -> None:
        again = self._pressed_ns is not None and at_ns - self._pressed_ns <= self._window_ns
        self._pressed_ns = at_ns
        if not again:
            self._count, self._done = 0, False
        if self._done:
            return  # an impatient finger goes on after the gesture was taken
        self._count += 1
        self._after(self._hold_ns, self._hold)
        self._after(STUCK_NS, self._stuck)
        if self._count == self._at_once:
            self._done, self._taken_ns = True, at_ns
            self._emit(self._counted[self._count])

    def _release(self) -> None:
        if self._done or not self._count:
            return
        assert self._pressed_ns is not None
        wait_ns = max(0, self._pressed_ns + self._window_ns - self._loop.now_ns())
        self._after(wait_ns, self._counted_out)

    def _stuck(self) -> None:
        self._end_of_what_was_taken(self._loop.now_ns())
        self._emit(self._held[1])

    def _end_of_what_was_taken(self, at_ns: int) -> None:
        taken_ns, self._taken_ns = self._taken_ns, None
        if self._let_go is None or taken_ns is None:
            return
        held_ms, gesture = self._let_go
        if at_ns - taken_ns >= milliseconds(held_ms):
            self._emit(gesture)

    def _hold(self) -> None:
        if self._count == 1:
            self._done = True
            self._emit(self._held[0])
        elif self._count == self._at_once and self._held_on is not None:
            self._emit(self._held_on)

    def _counted_out(self) -> None:
        gesture = self._counted.get(self._count)
        self._count = 0
        if gesture:
            self._emit(gesture)

    def _after(self, wait_ns: int, callback: Callable[[], None]) -> None:
        self._timers.append(self._loop.call_at(self._loop.now_ns() + wait_ns, callback))

    def _clear_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()


class Gestures:
    """Both buttons together."""

    def __init__(self, loop: Loop, settings: Buttons, emit: Callable[[Gesture], None]) -> None:
        self._loop, self._emit = loop, emit
        self._both_ns = milliseconds(settings.covert_hold_ms)
        self._both: Timer | None = None
        self.record = _Contact(
            loop,
            settings,
            settings.stop_hold_ms,
            {1: Gesture.RECORD_SINGLE, 2: Gesture.RECORD_DOUBLE},
            2,
            (Gesture.RECORD_HOLD, Gesture.RECORD_STUCK),
            emit,
            self._chord,
            Gesture.RECORD_DOUBLE_HELD,
        )
        self.marker = _Contact(
            loop,
            settings,
            settings.flag_hold_ms,
            {1: Gesture.MARKER_SINGLE, 2: Gesture.MARKER_DOUBLE, 3: Gesture.MARKER_TRIPLE},
            3,
            (Gesture.MARKER_HOLD, Gesture.MARKER_STUCK),
            emit,
            self._chord,
            let_go=(settings.mute_hold_ms, Gesture.MARKER_TRIPLE_LET_GO),
        )

    def _chord(self) -> None:
        """Both down at once is a gesture of its own, and cancels what each had begun."""
        if self._both:
            self._both.cancel()
            self._both = None
        if self.record.pressed and self.marker.pressed:
            self._loop.post(self._cancel_each)
            when_ns = self._loop.now_ns() + self._both_ns
            self._both = self._loop.call_at(when_ns, lambda: self._emit(Gesture.BOTH_HOLD))

    def _cancel_each(self) -> None:
        self.record.cancel()
        self.marker.cancel()
