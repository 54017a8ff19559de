"""The device's states as one table. `docs/states.svg` is drawn from it."""

from __future__ import annotations

import enum
from typing import NamedTuple


class State(enum.Enum):
    STARTING = "starting"
    READY = "ready"
    RECORDING = "recording"
    POST_EVENT = "post-event"
    DOCKED = "docked"
    STOPPED = "stopped"


class Event(enum.Enum):
    STARTED = "started"
    START = "start"
    STOP = "stop"
    POST_EVENT_OVER = "post-event over"
    ABORT = "abort"
    DOCK = "dock"
    UNDOCK = "undock"
    SHUTDOWN = "shutdown"


class Action(enum.Enum):
    """What the agent does on the way."""

    BUFFER = "start buffering"
    RECORD = "start recording"
    LINGER = "record on for the post-event time"
    RESUME = "record on"
    FINISH = "end the recording"
    SETTLE_IN_DOCK = "stop capturing"
    FINISH_IN_DOCK = "end the recording, stop capturing"
    FINISH_AND_STOP = "end the recording, then stop"
    STOP = "stop"


class Transition(NamedTuple):
    to: State
    action: Action


class Refusal(NamedTuple):
    """The event is refused: heard, and written with this condition."""

    condition: str


class Ignored(NamedTuple):
    """The event means nothing here."""


IGNORED = Ignored()
Outcome = Transition | Refusal | Ignored

_S, _E, _A = State, Event, Action

TABLE: dict[tuple[State, Event], Outcome] = {
    (_S.STARTING, _E.STARTED): Transition(_S.READY, _A.BUFFER),
    (_S.STARTING, _E.START): Refusal("the camera is not ready yet"),
    (_S.STARTING, _E.SHUTDOWN): Transition(_S.STOPPED, _A.STOP),
    (_S.READY, _E.START): Transition(_S.RECORDING, _A.RECORD),
    (_S.READY, _E.DOCK): Transition(_S.DOCKED, _A.SETTLE_IN_DOCK),
    (_S.READY, _E.SHUTDOWN): Transition(_S.STOPPED, _A.STOP),
    (_S.RECORDING, _E.START): Refusal("it is recording already"),
    (_S.RECORDING, _E.STOP): Transition(_S.POST_EVENT, _A.LINGER),
    (_S.RECORDING, _E.ABORT): Transition(_S.READY, _A.FINISH),
    (_S.RECORDING, _E.DOCK): Transition(_S.DOCKED, _A.FINISH_IN_DOCK),
    (_S.RECORDING, _E.SHUTDOWN): Transition(_S.STOPPED, _A.FINISH_AND_STOP),
    (_S.POST_EVENT, _E.START): Transition(_S.RECORDING, _A.RESUME),
    (_S.POST_EVENT, _E.POST_EVENT_OVER): Transition(_S.READY, _A.FINISH),
    (_S.POST_EVENT, _E.ABORT): Transition(_S.READY, _A.FINISH),
    (_S.POST_EVENT, _E.DOCK): Transition(_S.DOCKED, _A.FINISH_IN_DOCK),
    (_S.POST_EVENT, _E.SHUTDOWN): Transition(_S.STOPPED, _A.FINISH_AND_STOP),
    (_S.DOCKED, _E.START): Refusal("the camera is docked"),
    (_S.DOCKED, _E.UNDOCK): Transition(_S.READY, _A.BUFFER),
    (_S.DOCKED, _E.SHUTDOWN): Transition(_S.STOPPED, _A.STOP),
}


def decide(state: State, event: Event) -> Outcome:
    """The outcome of `event` in `state`. An event that the table does not name is ignored."""
    return TABLE.get((state, event), IGNORED)
