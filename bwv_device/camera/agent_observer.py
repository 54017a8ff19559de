"""What an agent reports to the program that runs it: a command, a simulated world, a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from bwv_device.camera.state_table import Event, State
from hal.ports import Anchor


class AgentObserver(Protocol):
    """Called on the loop. An error raised here ends the camera."""

    def transition(self, before: State, event: Event, after: State) -> None:
        """The camera's state changed."""
        ...

    def noted(self, kind: str, fields: Mapping[str, Any], at: Anchor) -> None:
        """A ledger line is durable; `at` is the ledger's head behind it."""
        ...

    def settings_assigned(self, settings: dict[str, Any]) -> None:
        """The agency assigned these settings; they take effect with the next start."""
        ...

    def machine_stuck(self, reason: str) -> bool:
        """Only a restart of the machine may help. Whether it will be restarted, once the camera has
        ended in order; else the camera goes on trying."""
        ...

    def slot_wanted(self, *, other: bool) -> None:
        """The machine is to be restarted, with the `other` slot on trial or without the one that
        was, once the camera has ended in order."""
        ...

    def stopped(self) -> None:
        """The last ledger line is durable: the camera has ended in order."""
        ...


class Unobserved(AgentObserver):
    """Nobody listens; a base for observers that want to know of some things only."""

    def transition(self, before: State, event: Event, after: State) -> None:
        return

    def noted(self, kind: str, fields: Mapping[str, Any], at: Anchor) -> None:
        return

    def settings_assigned(self, settings: dict[str, Any]) -> None:
        return

    def machine_stuck(self, reason: str) -> bool:
        return False

    def slot_wanted(self, *, other: bool) -> None:
        return

    def stopped(self) -> None:
        return
