"""A capture process that may stall, hang or die: it is followed, killed and started again.

What makes a child count as alive is units that come, nothing else. Stamps are the sensor's own, so
a restart is a gap in the track and never a shift; the agent signs it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hal.ports import SECOND_NS, CaptureLoss, Clock, Impairment, Opened, Stuck, Track, UnitSink
from hal.rpi.capture import pipe_messages
from hal.rpi.capture.pipe_messages import Kind, Message, WireError

READ_BYTES = 1 << 18
# A child that was told to end and does not.
REAP_S = 3.0
# Facts that a child may tell of what it has opened.
TEXTS = 32


class Patience(NamedTuple):
    """How long a child may be silent: until its first unit, and between units; how long the first
    and the longest pause between two starts are; and after how many starts in vain a device that is
    there counts as stuck (0: never)."""

    start_ns: int = 20 * SECOND_NS
    stall_ns: int = 3 * SECOND_NS // 2
    pause_ns: int = SECOND_NS // 10
    longest_pause_ns: int = 5 * SECOND_NS
    stuck_after: int = 0


class Allowance(NamedTuple):
    """What a child may send: more is not a camera's work any more. It may be saved up for
    `burst_s`."""

    units_per_s: int
    bytes_per_s: int
    burst_s: int = 20


class _Ended(Exception):
    """Why a child is not followed any longer. `absent`: there is nothing that it could open."""

    absent = False


class _Absent(_Ended):
    absent = True


class CaptureChild:
    """One device's process, over and over. `opened` hears what a child says that it has opened."""

    def __init__(
        self,
        track: Track,
        command: Sequence[str],
        asked: Mapping[str, Any],
        allowance: Allowance,
        clock: Clock,
        patience: Patience = Patience(),
        opened: Callable[[dict[str, Any]], None] = lambda fields: None,
    ) -> None:
        self._track, self._command, self._asked = track, list(command), dict(asked)
        self._allowance, self._clock, self._patience = allowance, clock, patience
        self._opened = opened
        self._turn = threading.Condition()
        self._wanted: UnitSink | None = None
        self._generation = 0
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._told = ""
        self._impaired: set[str] = set()
        self._vain = 0
        self._answers = True
        self.starts = 0

    # --- what the agent asks ------------------------------------------------------------------

    def start(self, sink: UnitSink) -> None:
        with self._turn:
            self._generation += 1
            self._wanted = sink
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
            self._turn.notify_all()

    def stop(self) -> None:
        """At once: nothing is delivered any more. The process ends in its own time, or is ended."""
        with self._turn:
            self._generation += 1
            self._wanted = None
            self._turn.notify_all()
            if self._process is not None:
                _close(self._process)

    def say(self, kind: Kind, **fields: Any) -> None:
        """To the child, if there is one that listens. Never waits for it."""
        with self._turn:  # or the number of a pipe that is closed now may be a file's next
            process = self._process
            if process is not None and process.stdin is not None and not process.stdin.closed:
                with contextlib.suppress(OSError):
                    os.write(process.stdin.fileno(), pipe_messages.message(kind, fields))

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process else None

    # --- the thread ---------------------------------------------------------------------------

    def _work(self) -> None:
        pause_ns = self._patience.pause_ns
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._wanted is not None)
                sink, generation = self._wanted, self._generation
            assert sink is not None
            came = self._once(sink, generation)
            pause_ns = self._patience.pause_ns if came else pause_ns * 2
            self._count(sink, generation, came=came)
            pause_ns = min(pause_ns, self._patience.longest_pause_ns)
            if self._changes_within(generation, pause_ns):
                pause_ns = self._patience.pause_ns

    def _count(self, sink: UnitSink, generation: int, *, came: bool) -> None:
        """Starts in vain, one after another, of a device that is there."""
        if came:
            self._vain = 0
        elif self._answers and self._current(generation):
            self._vain += 1
            if self._vain == self._patience.stuck_after:
                sink.stuck(Stuck(self._track, self._told or "no unit came"))

    def _changes_within(self, generation: int, wait_ns: int) -> bool:
        with self._turn:
            return self._turn.wait_for(lambda: not self._current(generation), wait_ns / 1e9)

    def _once(self, sink: UnitSink, generation: int) -> bool:
        """One child from start to end; whether any unit came."""
        follower = _Follower(self, sink, generation)
        self._answers = True
        try:
            process = self._spawn(generation)
        except OSError as error:
            self._tell(sink, generation, f"capture can't be started: {error}")
            return False
        try:
            follower.follow(process)
        except (_Ended, WireError) as ended:
            self._answers = not getattr(ended, "absent", False)
            self._tell(sink, generation, str(ended))
        except Exception as error:  # this thread is what brings capture back: it must not end
            self._tell(sink, generation, f"capture: {type(error).__name__}")
        finally:
            self._over(sink, generation)
            with self._turn:
                self._process = None
                _close(process)
            _reap(process, kill=self._current(generation))
        return follower.came

    def _over(self, sink: UnitSink, generation: int) -> None:
        """What a child found is not known of the next one."""
        present, self._impaired = self._impaired, set()
        if self._current(generation):
            for what in sorted(present):
                sink.impaired(Impairment(self._track, what, False))

    def _spawn(self, generation: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # noqa: S603 - our own module, with our own interpreter
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        self.starts += 1
        with self._turn:
            self._process = process
            if not self._current(generation):  # stopped meanwhile
                _close(process)
        self.say(Kind.ASKED, **self._asked)
        return process

    def _current(self, generation: int) -> bool:
        return generation == self._generation

    def _tell(self, sink: UnitSink, generation: int, reason: str) -> None:
        """Once for each kind of trouble, until units come again: a microphone may be away for a
        whole shift."""
        if self._current(generation) and reason != self._told:
            self._told = reason
            sink.lost(CaptureLoss(self._track, 0, reason))

    # --- what a child says --------------------------------------------------------------------

    def hear(
        self, message: Message, sink: UnitSink, generation: int, spend: Callable[[int], None]
    ) -> int:
        """How many units it brought. `spend` refuses more than a child may send; every message
        counts as a unit."""
        spend(1)
        if not self._current(generation):
            raise _Ended("stopped")
        if message.kind is Kind.UNITS:
            batch = pipe_messages.parse_units(message.body, self._track)
            spend(len(batch))
            self._told = ""
            sink.units(batch)
            return len(batch)
        fields = message.fields
        if message.kind is Kind.READY:
            self._opened(fields)
            facts, missing = _texts(fields, "facts"), _texts(fields, "missing")
            sink.opened(Opened(self._track, facts, missing))
        elif message.kind is Kind.LOST:
            if fields.get("track") != self._track:
                raise WireError("a loss is of another track")
            units = _whole(fields, "units")
            sink.lost(CaptureLoss(self._track, units, _text(fields, "reason")))
        elif message.kind is Kind.IMPAIRED:
            what, present = _text(fields, "what"), fields.get("present") is True
            (self._impaired.add if present else self._impaired.discard)(what)
            sink.impaired(Impairment(self._track, what, present))
        elif message.kind is Kind.FAILED:
            absent = fields.get("absent") is True
            raise (_Absent if absent else _Ended)(_text(fields, "reason"))
        else:
            raise WireError(f"a child does not say {message.kind.name}")
        return 0

    @property
    def patience(self) -> Patience:
        return self._patience

    @property
    def allowance(self) -> Allowance:
        return self._allowance

    @property
    def clock(self) -> Clock:
        return self._clock


class _Follower:
    """Reads one child until it is silent for too long, floods, talks nonsense or ends."""

    def __init__(self, child: CaptureChild, sink: UnitSink, generation: int) -> None:
        self._child, self._sink, self._generation = child, sink, generation
        self._reader = pipe_messages.Reader()
        self._burst = tuple(rate * child.allowance.burst_s for rate in child.allowance[:2])
        self._credit = list(map(float, self._burst))
        self._counted_ns = child.clock.monotonic_ns()
        self.came = False

    def follow(self, process: subprocess.Popen[bytes]) -> None:
        """Raises `_Ended` or `WireError`."""
        assert process.stdout is not None
        clock, patience = self._child.clock, self._child.patience
        deadline_ns = clock.monotonic_ns() + patience.start_ns
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                left_s = max(0, deadline_ns - clock.monotonic_ns()) / 1e9
                # What waits is read first: it may be this process that stood still.
                if not selector.select(left_s) and not selector.select(0):
                    if clock.monotonic_ns() < deadline_ns:
                        continue
                    raise _Ended("capture stalled" if self.came else "capture did not begin")
                data = os.read(process.stdout.fileno(), READ_BYTES)
                if not data:
                    raise _Ended("capture ended")
                if self._take(data):
                    self.came = True
                    deadline_ns = clock.monotonic_ns() + patience.stall_ns

    def _take(self, data: bytes) -> int:
        self._spend((0, len(data)))
        count = 0
        for message in self._reader.feed(data):
            count += self._child.hear(
                message, self._sink, self._generation, lambda units: self._spend((units, 0))
            )
        return count

    def _spend(self, spent: tuple[int, int]) -> None:
        now_ns = self._child.clock.monotonic_ns()
        passed_s = (now_ns - self._counted_ns) / 1e9
        self._counted_ns = now_ns
        for kind, rate in enumerate(self._child.allowance[:2]):
            saved = min(self._credit[kind] + passed_s * rate, self._burst[kind])
            self._credit[kind] = saved - spent[kind]
        if min(self._credit) < 0:
            raise _Ended("capture flooded")


def python_command(module: str, interpreter: str = "") -> list[str]:
    """Runs a module of ours, also with another interpreter (libcamera belongs to the system's):
    that one's own packages come first."""
    root = str(Path(__file__).parents[3])
    start = f"from hal.rpi.capture.child_output import run; run({module!r})"
    code = f"import sys; sys.path.append({root!r}); {start}"
    return [interpreter or sys.executable, "-c", code]


def _close(process: subprocess.Popen[bytes]) -> None:
    """The child's signal to end: nobody speaks to it any more."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def _reap(process: subprocess.Popen[bytes], *, kill: bool) -> None:
    """The next child needs the device: this one must be gone. A process that the kernel does not
    let go (D state) is left: the next start is in vain then, and at last the device counts as
    stuck."""
    try:
        if kill:
            raise subprocess.TimeoutExpired(process.args, 0)
        process.wait(REAP_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(REAP_S)
    if process.stdout is not None:
        process.stdout.close()


def _whole(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if type(value) is not int or not 0 <= value < 1 << 31:
        raise WireError(f"{name} is not a count")
    return value


def _texts(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A few short texts; none where there are none."""
    values = fields.get(name, [])
    if not isinstance(values, list) or len(values) > TEXTS:
        raise WireError(f"{name} are not some texts")
    return tuple(_text({name: value}, name) for value in values)


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise WireError(f"{name} is not text")
    return value
