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
