"""The capture process's side of the pipe: all output goes through one thread and a bounded queue.

Standard output belongs to the pipe; what a library prints goes to standard error.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

from hal.ports import AccessUnit, Track
from hal.rpi.capture import pipe_messages
from hal.rpi.capture.pipe_messages import Kind, Message

# About half a minute at the default bitrate: an agent that is busy for so long gets no more.
LIMIT_BYTES = 16 << 20


class Outlet:
    """Called from any thread; never blocks, never raises. What does not fit is counted, and of
    pictures everything up to the next keyframe with it."""

    def __init__(self, pipe: BinaryIO, batch_ns: int) -> None:
        self._pipe, self._batch_s = pipe, batch_ns / 1e9
        self._turn = threading.Condition()
        self._units: list[AccessUnit] = []
        self._size = 0
        self._words: list[bytes] = []
        self._lost: dict[tuple[Track, str], int] = {}
        self._waits_for_keyframe = False
        self._last_word = b""
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="outlet", daemon=True)
        self._thread.start()

    def unit(self, unit: AccessUnit) -> None:
        with self._turn:
            video = unit.track is Track.VIDEO
            if self._size + len(unit.data) > LIMIT_BYTES:
                self._waits_for_keyframe = self._waits_for_keyframe or video
                self._count(unit.track, 1, "agent busy")
            elif video and self._waits_for_keyframe and not unit.keyframe:
                self._count(unit.track, 1, "agent busy")
            else:
                if video:
                    self._waits_for_keyframe = False
                self._units.append(unit)
                self._size += len(unit.data)

    def lost(self, track: Track, units: int, reason: str) -> None:
        with self._turn:
            self._count(track, units, reason)

    def say(self, kind: Kind, **fields: Any) -> None:
        """Goes out at once, before the units that wait; a FAILED behind them."""
        with self._turn:
            if kind is Kind.FAILED:
                self._last_word = pipe_messages.message(kind, fields)
            elif len(self._words) < WORDS_LIMIT:
                self._words.append(pipe_messages.message(kind, fields))
            self._turn.notify()

    def close(self, patience_s: float = 1.0) -> None:
        """What waits goes out, if anybody listens."""
        with self._turn:
            self._ended = True
            self._turn.notify()
        self._thread.join(patience_s)

    def _count(self, track: Track, units: int, reason: str) -> None:
        self._lost[track, reason] = self._lost.get((track, reason), 0) + units

    def _work(self) -> None:
        with contextlib.suppress(OSError):  # the agent is gone: so is this process, soon
            while True:
                with self._turn:
                    self._turn.wait_for(
                        lambda: self._ended or self._words or self._last_word, self._batch_s
                    )
                    ended, out = self._ended, self._take()
                view = memoryview(out)
                while view:  # a pipe may take a part, when this process was stopped meanwhile
                    view = view[self._pipe.write(view) :]
                if ended:
                    return

    def _take(self) -> bytes:
        parts, self._words = self._words, []
        if self._units:
            parts.append(pipe_messages.units(self._units))
            self._units, self._size = [], 0
        for (track, reason), units in self._lost.items():
            fields = {"track": int(track), "units": units, "reason": reason}
            parts.append(pipe_messages.message(Kind.LOST, fields))
        self._lost = {}
        last_word, self._last_word = self._last_word, b""
        return b"".join([*parts, last_word])


WORDS_LIMIT = 1000


def run(module: str) -> None:
    """A module as this process's program. A library that is missing is named in one sentence."""
    try:
        runpy.run_module(module, None, "__main__")
    except ImportError as error:
        reason = f"{error.name} is not installed for {sys.executable} (docs/pi.md)"
        print(f"{module}: {reason}", file=sys.stderr)
        os.write(1, pipe_messages.message(Kind.FAILED, {"reason": reason[:200], "absent": True}))
        sys.exit(1)


def own_pipe() -> BinaryIO:
    """Standard output for messages alone."""
    pipe = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return pipe


def listen(hear: Callable[[Message], None]) -> dict[str, Any]:
    """What was asked for; later messages go to `hear`, from a thread. The process ends with its
    agent: when standard input does."""
    reader = pipe_messages.Reader()
    while not (heard := list(reader.feed(_more()))):
        pass

    def follow() -> None:
        for message in heard[1:]:
            hear(message)
        while True:
            for message in reader.feed(_more()):
                hear(message)

    threading.Thread(target=follow, name="agent", daemon=True).start()
    return heard[0].fields


def _more() -> bytes:
    data = os.read(sys.stdin.fileno(), 1 << 16)
    if not data:
        os._exit(0)  # not sys.exit: a library may hang in its own clean-up
    return data
