"""Every state with every event; the diagram is drawn from the same table."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from bwv_device.camera.state_table import (
    TABLE,
    Action,
    Event,
    Ignored,
    Refusal,
    State,
    Transition,
    decide,
)

REPO = Path(__file__).parents[2]

# Written out by hand: (state, event) → next state, "refused", or "-" for ignored.
EXPECTED = {
    # started, start, stop, over, abort, dock, undock, shutdown
    State.STARTING: ["ready", "refused", "-", "-", "-", "-", "-", "stopped"],
    State.READY: ["-", "recording", "-", "-", "-", "docked", "-", "stopped"],
    State.RECORDING: ["-", "refused", "post-event", "-", "ready", "docked", "-", "stopped"],
    State.POST_EVENT: ["-", "recording", "-", "ready", "ready", "docked", "-", "stopped"],
    State.DOCKED: ["-", "refused", "-", "-", "-", "-", "ready", "stopped"],
    State.STOPPED: ["-", "-", "-", "-", "-", "-", "-", "-"],
}


# What is done on the way, from where to where.
DONE = {
    ("starting", "ready"): {"start buffering"},
    ("ready", "recording"): {"start recording"},
    ("ready", "docked"): {"stop capturing"},
    ("recording", "post-event"): {"record on for the post-event time"},
    ("recording", "ready"): {"end the recording"},
    ("recording", "docked"): {"end the recording, stop capturing"},
    ("post-event", "recording"): {"record on"},
    ("post-event", "ready"): {"end the recording"},
    ("post-event", "docked"): {"end the recording, stop capturing"},
    ("docked", "ready"): {"start buffering"},
    ("starting", "stopped"): {"stop"},
    ("ready", "stopped"): {"stop"},
    ("docked", "stopped"): {"stop"},
    ("recording", "stopped"): {"end the recording, then stop"},
    ("post-event", "stopped"): {"end the recording, then stop"},
}
REFUSED = {
    "starting": "the camera is not ready yet",
    "recording": "it is recording already",
    "docked": "the camera is docked",
}


def test_what_is_done_on_the_way_and_why_a_start_is_refused() -> None:
    done: dict[tuple[str, str], set[str]] = {}
    refused = {}
    for (state, event), outcome in TABLE.items():
        if isinstance(outcome, Transition):
            way = (state.value, outcome.to.value)
            done.setdefault(way, set()).add(outcome.action.value)
        elif isinstance(outcome, Refusal):
            assert event is Event.START
            refused[state.value] = outcome.condition
    assert done == DONE
    assert refused == REFUSED


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_state_and_event(state: State, event: Event) -> None:
    outcome = decide(state, event)
    said = {
        Transition: lambda: outcome.to.value,
        Refusal: lambda: "refused",
        Ignored: lambda: "-",
    }[type(outcome)]()
    assert said == EXPECTED[state][list(Event).index(event)]


def test_every_action_and_state_is_used() -> None:
    transitions = [outcome for outcome in TABLE.values() if isinstance(outcome, Transition)]
    assert {transition.action for transition in transitions} == set(Action)
    assert {transition.to for transition in transitions} | {State.STARTING} == set(State)


def test_nothing_but_a_start_begins_a_recording() -> None:
    causes = {
        event
        for (_, event), outcome in TABLE.items()
        if isinstance(outcome, Transition) and outcome.to is State.RECORDING
    }
    assert causes == {Event.START}


def test_the_diagram_is_the_tables() -> None:
    from sim.docs.state_diagram import draw

    assert (REPO / "docs" / "states.svg").read_text() == draw()
