"""Records what reached an agent in real time, with times and completions, and plays exactly that to
a fresh agent in virtual time. Both must write the same vault.

Only what comes from outside is recorded: batches, edges, the dock's contact, readings of the wall
clock, entropy, and the order in which timers, posts and lane completions ran.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from bwv_device.camera.loop import Done, Job, Lane, Loop, Outcome, run_job
from hal.ports import (
    AccessUnit,
    Board,
    Camera,
    CaptureLoss,
    Clock,
    DockContact,
    Entropy,
    Impairment,
    Microphone,
    Opened,
    Stuck,
    Timer,
    UnitSink,
    UtcReading,
)


class ReplayStep(NamedTuple):
    """One callback as it ran: "timer", "post" or "done" by number, or "input" with what came."""

    kind: str
    number: int
    now_ns: int
    source: str = ""
    payload: Any = None


@dataclass
class Trace:
    """Everything that must be the same again."""

    steps: list[ReplayStep] = field(default_factory=list)
    utc: list[UtcReading] = field(default_factory=list)
    # Read beside the wall clock: how far apart the two were read is a part of what is known.
    monotonic_ns: list[int] = field(default_factory=list)
    tokens: list[bytes] = field(default_factory=list)


# --- recording -----------------------------------------------------------------------------------


class RecordingLoop:
    """Numbers everything that an agent asks of the loop beneath, and notes when it ran."""

    def __init__(self, inner: Loop, trace: Trace) -> None:
        self._inner, self._trace = inner, trace
        self._timers = self._posts = self._jobs = 0
        self._outside = threading.local()

    def now_ns(self) -> int:
        return self._inner.now_ns()

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Timer:
        self._timers += 1
        number = self._timers
        return self._inner.call_at(when_ns, lambda: self._run("timer", number, callback))

    def post(self, callback: Callable[[], None]) -> None:
        outside: tuple[str, Any] | None = getattr(self._outside, "input", None)
        if outside is not None:
            source, payload = outside
            self._inner.post(lambda: self._run("input", 0, callback, source, payload))
            return
        self._posts += 1
        number = self._posts
        self._inner.post(lambda: self._run("post", number, callback))

    def lane(self, name: str) -> Lane:
        return _RecordingLane(self, self._inner.lane(name))

    def outside(self, source: str, payload: Any, deliver: Callable[[], None]) -> None:
        """What happens within `deliver` comes from outside."""
        self._outside.input = (source, payload)  # each thread has its own
        try:
            deliver()
        finally:
            self._outside.input = None

    def ran(self, step: ReplayStep) -> None:
        self._trace.steps.append(step)

    def next_job(self) -> int:
        self._jobs += 1
        return self._jobs

    def _run(
        self,
        kind: str,
        number: int,
        callback: Callable[[], None],
        source: str = "",
        payload: Any = None,
    ) -> None:
        self.ran(ReplayStep(kind, number, self.now_ns(), source, payload))
        callback()


class _RecordingLane:
    def __init__(self, loop: RecordingLoop, inner: Lane) -> None:
        self._loop, self._inner = loop, inner

    def submit(self, job: Job, done: Done) -> None:
        number = self._loop.next_job()

        def noted(outcome: Outcome) -> None:
            self._loop.ran(ReplayStep("done", number, self._loop.now_ns()))
            done(outcome)

        self._inner.submit(job, noted)


def recording_board(board: Board, loop: RecordingLoop, trace: Trace) -> Board:
    """The same board, with a tap on everything that comes from outside."""
    return replace(
        board,
        clock=_TappedClock(board.clock, trace),
        entropy=_TappedEntropy(board.entropy, trace),
        camera=_TappedCapture(board.camera, "camera", loop),
        microphone=_TappedCapture(board.microphone, "microphone", loop),
        record_button=_Tapped(board.record_button, "record", loop),
        marker_button=_Tapped(board.marker_button, "marker", loop),
        trigger=_Tapped(board.trigger, "trigger", loop),
        dock=_TappedDock(board.dock, "dock", loop),
    )


class _TappedClock:
    def __init__(self, inner: Clock, trace: Trace) -> None:
        self._inner, self._trace = inner, trace

    def monotonic_ns(self) -> int:
        self._trace.monotonic_ns.append(self._inner.monotonic_ns())
        return self._trace.monotonic_ns[-1]

    def utc(self) -> UtcReading:
        self._trace.utc.append(self._inner.utc())
        return self._trace.utc[-1]


class _TappedEntropy:
    def __init__(self, inner: Entropy, trace: Trace) -> None:
        self._inner, self._trace = inner, trace

    def token(self, length: int) -> bytes:
        self._trace.tokens.append(self._inner.token(length))
        return self._trace.tokens[-1]


class _TappedCapture:
    def __init__(self, inner: Camera | Microphone, source: str, loop: RecordingLoop) -> None:
        self._inner, self._source, self._loop = inner, source, loop

    @property
    def format(self) -> Any:
        return self._inner.format

    def start(self, sink: UnitSink) -> None:
        self._inner.start(_TappedSink(sink, self._source, self._loop))

    def stop(self) -> None:
        self._inner.stop()

    def request_keyframe(self) -> None:
        getattr(self._inner, "request_keyframe", lambda: None)()

    def caption(self, words: str) -> None:
        getattr(self._inner, "caption", lambda words: None)(words)


class _TappedSink:
    def __init__(self, inner: UnitSink, source: str, loop: RecordingLoop) -> None:
        self._inner, self._source, self._loop = inner, source, loop

    def units(self, batch: Sequence[AccessUnit]) -> None:
        self._loop.outside(self._source, batch, lambda: self._inner.units(batch))

    def lost(self, loss: CaptureLoss) -> None:
        self._loop.outside(f"{self._source} loss", loss, lambda: self._inner.lost(loss))

    def impaired(self, impairment: Impairment) -> None:
        source = f"{self._source} impairment"
        self._loop.outside(source, impairment, lambda: self._inner.impaired(impairment))

    def opened(self, opened: Opened) -> None:
        source = f"{self._source} opened"
        self._loop.outside(source, opened, lambda: self._inner.opened(opened))

    def stuck(self, stuck: Stuck) -> None:
        self._loop.outside(f"{self._source} stuck", stuck, lambda: self._inner.stuck(stuck))


class _Listened(Protocol):
    def listen(self, listener: Callable[[Any], None]) -> None: ...


class _Tapped:
    """A button."""

    def __init__(self, inner: _Listened, source: str, loop: RecordingLoop) -> None:
        self._inner, self._source, self._loop = inner, source, loop

    def listen(self, listener: Callable[[Any], None]) -> None:
        self._inner.listen(
            lambda what: self._loop.outside(self._source, what, lambda: listener(what))
        )


class _TappedDock(_Tapped):
    def __init__(self, inner: DockContact, source: str, loop: RecordingLoop) -> None:
        super().__init__(inner, source, loop)
        self._dock = inner

    def docked(self) -> bool:
        return self._dock.docked()


# --- replaying -----------------------------------------------------------------------------------


class ReplayLoop:
    """Runs what the trace says, when it says so."""

    def __init__(self, trace: Trace) -> None:
        self._steps = deque(trace.steps)
        self._now_ns = trace.steps[0].now_ns if trace.steps else 0
        self._waiting: dict[tuple[str, int], Callable[[], None]] = {}
        self._numbers = {"timer": 0, "post": 0, "done": 0}
        self._incoming: Callable[[], None] | None = None
        self._delivering = False
        self.sources: dict[str, Callable[[Any], None]] = {}

    def now_ns(self) -> int:
        return self._now_ns

    def call_at(self, when_ns: int, callback: Callable[[], None]) -> Timer:
        self._keep("timer", callback)
        return _Uncancelled()

    def post(self, callback: Callable[[], None]) -> None:
        if self._delivering:
            self._incoming = callback
        else:
            self._keep("post", callback)

    def lane(self, name: str) -> Lane:
        return _ReplayLane(self)

    def submit(self, job: Job, done: Done) -> None:
        # Run at once: jobs depend on nothing but what they were given and on each other's order.
        outcome = run_job(job)
        self._keep("done", lambda: done(outcome))

    def run(self) -> None:
        """Plays every step. Raises `LookupError` where the agent did something else."""
        while self._steps:
            step = self._steps.popleft()
            self._now_ns = step.now_ns
            if step.kind == "input":
                self._deliver(step)
                continue
            callback = self._waiting.pop((step.kind, step.number), None)
            if callback is None:
                raise LookupError(f"the agent never asked for {step.kind} {step.number}")
            callback()

    def _deliver(self, step: ReplayStep) -> None:
        self._delivering = True
        self.sources[step.source](step.payload)
        self._delivering = False
        callback, self._incoming = self._incoming, None
        if callback is None:
            raise LookupError(f"the agent did not take {step.source}")
        callback()

    def _keep(self, kind: str, callback: Callable[[], None]) -> None:
        self._numbers[kind] += 1
        self._waiting[kind, self._numbers[kind]] = callback


class _ReplayLane:
    def __init__(self, loop: ReplayLoop) -> None:
        self._loop = loop

    def submit(self, job: Job, done: Done) -> None:
        self._loop.submit(job, done)


class _Uncancelled:
    """The trace knows which timers fired; the others are never asked for."""

    def cancel(self) -> None:
        return


def replay_board(board: Board, loop: ReplayLoop, trace: Trace) -> Board:
    """A board whose outside is the trace. `board` gives the rest: disk, panel, identity."""
    return replace(
        board,
        clock=_ReplayedClock(trace),
        entropy=_ReplayedEntropy(trace),
        camera=_ReplayedCapture(board.camera, "camera", loop),
        microphone=_ReplayedCapture(board.microphone, "microphone", loop),
        record_button=_Replayed("record", loop),
        marker_button=_Replayed("marker", loop),
        trigger=_Replayed("trigger", loop),
        dock=_ReplayedDock(board.dock.docked(), loop),
    )


class _ReplayedClock:
    def __init__(self, trace: Trace) -> None:
        self._readings, self._moments_ns = iter(trace.utc), iter(trace.monotonic_ns)

    def monotonic_ns(self) -> int:
        return next(self._moments_ns)

    def utc(self) -> UtcReading:
        return next(self._readings)


class _ReplayedEntropy:
    def __init__(self, trace: Trace) -> None:
        self._tokens = iter(trace.tokens)

    def token(self, length: int) -> bytes:
        token = next(self._tokens)
        if len(token) != length:
            raise LookupError(f"the agent asks for {length} bytes, then it asked for {len(token)}")
        return token


class _ReplayedCapture:
    def __init__(self, inner: Camera | Microphone, source: str, loop: ReplayLoop) -> None:
        self._inner, self._source, self._loop = inner, source, loop

    @property
    def format(self) -> Any:
        return self._inner.format

    def start(self, sink: UnitSink) -> None:
        self._loop.sources[self._source] = sink.units
        self._loop.sources[f"{self._source} loss"] = sink.lost
        self._loop.sources[f"{self._source} impairment"] = sink.impaired

    def stop(self) -> None:
        return

    def request_keyframe(self) -> None:
        return

    def caption(self, words: str) -> None:
        return


class _Replayed:
    def __init__(self, source: str, loop: ReplayLoop) -> None:
        self._source, self._loop = source, loop

    def listen(self, listener: Callable[[Any], None]) -> None:
        self._loop.sources[self._source] = listener


class _ReplayedDock(_Replayed):
    def __init__(self, docked: bool, loop: ReplayLoop) -> None:
        super().__init__("dock", loop)
        self._docked = docked

    def docked(self) -> bool:
        return self._docked
