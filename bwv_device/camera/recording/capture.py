"""Switches camera and microphone on and off, and watches that pictures come.

Capture backends deliver from any thread; here their batches enter the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from bwv_device.camera.loop import Loop
from bwv_device.camera.recording.recorder import Recorder
from hal.ports import SECOND_NS, AccessUnit, Board, CaptureLoss, Impairment, Opened, Stuck, Timer

# Pictures must come at least this often, or the camera counts as stalled.
STALL_NS = SECOND_NS


class CaptureObserver(Protocol):
    """Is called when capture has trouble, on the loop."""

    def impaired(self, impairment: Impairment) -> None:
        """Pictures or sound are useless, or useful again."""
        ...

    def capture_opened(self, opened: Opened) -> None:
        """A device was opened."""
        ...

    def capture_stuck(self, stuck: Stuck) -> None:
        """A device answers no start any more."""
        ...

    def pictures_stalled(self, stalled: bool) -> None:
        """The camera silently stopped delivering, or delivers again."""
        ...


class Capture:
    """`switch` starts and stops; between the two, batches go to the recorder."""

    def __init__(
        self, board: Board, loop: Loop, recorder: Recorder, observer: CaptureObserver
    ) -> None:
        self._board, self._loop, self._recorder = board, loop, recorder
        self._observer = observer
        self._on = False
        self._began_ns = 0
        self._look: Timer | None = None
        self._borrower: Callable[[Sequence[AccessUnit]], None] | None = None
        self.stalled = False

    def switch(self, on: bool) -> None:
        if on == self._on:
            return
        self._on, self.stalled = on, False
        if on:
            self._began_ns = self._loop.now_ns()
            if self._borrower is None:
                self._board.camera.start(self)
            self._board.microphone.start(self)
            self._look_in(2 * STALL_NS)
        else:
            if self._look:
                self._look.cancel()
            if self._borrower is None:
                self._board.camera.stop()
            self._board.microphone.stop()

    def borrow(self, borrower: Callable[[Sequence[AccessUnit]], None]) -> None:
        """Pictures for a test: beside what the recorder gets, or while it gets none."""
        if self._borrower is None and not self._on:
            self._board.camera.start(self)
        self._borrower = borrower

    def give_back(self) -> None:
        if self._borrower is not None and not self._on:
            self._board.camera.stop()
        self._borrower = None

    def pictures_overdue_ns(self) -> int:
        """How long pictures have been overdue."""
        newest_ns = max(self._recorder.newest_video_ns, self._began_ns)
        return max(0, self._loop.now_ns() - newest_ns) if self._on else 0

    # --- for backends, from any thread --------------------------------------------------------

    def units(self, batch: Sequence[AccessUnit]) -> None:
        self._loop.post(lambda: self._take(batch))

    def lost(self, loss: CaptureLoss) -> None:
        self._loop.post(lambda: self._recorder.lost(loss))

    def impaired(self, impairment: Impairment) -> None:
        self._loop.post(lambda: self._observer.impaired(impairment))

    def opened(self, opened: Opened) -> None:
        self._loop.post(lambda: self._observer.capture_opened(opened))

    def stuck(self, stuck: Stuck) -> None:
        self._loop.post(lambda: self._observer.capture_stuck(stuck))

    # --- on the loop --------------------------------------------------------------------------

    def _take(self, batch: Sequence[AccessUnit]) -> None:
        """Ignores pictures after the stop, in the dock for example."""
        if self._borrower is not None:
            self._borrower(batch)
        if self._on:
            self._recorder.take(batch)

    def _watch(self) -> None:
        age_ns = self._loop.now_ns() - self._recorder.newest_video_ns
        stalled = age_ns > STALL_NS
        if stalled != self.stalled:
            self.stalled = stalled
            self._observer.pictures_stalled(stalled)
        self._look_in(STALL_NS)

    def _look_in(self, wait_ns: int) -> None:
        self._look = self._loop.call_at(self._loop.now_ns() + wait_ns, self._watch)
