"""Whether the camera is docked: by a contact, or by power over USB."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hal.ports import Button, Edge

# A plug that goes in bounces for longer than a button.
SETTLE_S = 0.3
LOOK_S = 1.0


class ContactDock:
    """`hal.ports.DockContact` over a contact that closes in the dock. `closed`: as it is now."""

    def __init__(self, contact: Button, closed: bool) -> None:
        self._closed = self._told = closed
        self._listener: Callable[[bool], None] = lambda docked: None
        self._turn = threading.Lock()
        self._settling: threading.Timer | None = None
        contact.listen(self._edge)

    def docked(self) -> bool:
        return self._told

    def listen(self, listener: Callable[[bool], None]) -> None:
        self._listener = listener

    def _edge(self, edge: Edge) -> None:
        with self._turn:
            self._closed = edge.pressed
            if self._settling is not None:
                self._settling.cancel()
            self._settling = threading.Timer(SETTLE_S, self._settled)
            self._settling.daemon = True
            self._settling.start()

    def _settled(self) -> None:
        with self._turn:
            changed, self._told = self._closed != self._told, self._closed
        if changed:
            self._listener(self._told)


class UsbDock:
    """`hal.ports.DockContact` for a rig that is charged in the dock only."""

    def __init__(self, powered: Callable[[], bool]) -> None:
        self._powered = powered
        self._told = powered()
        self._listener: Callable[[bool], None] = lambda docked: None
        threading.Thread(target=self._look, name="dock", daemon=True).start()

    def docked(self) -> bool:
        return self._told

    def listen(self, listener: Callable[[bool], None]) -> None:
        self._listener = listener

    def _look(self) -> None:
        while True:
            threading.Event().wait(LOOK_S)
            now = self._powered()
            if now != self._told:
                self._told = now
                self._listener(now)


class NoDock:
    """`hal.ports.DockContact` of a rig that is never docked."""

    def docked(self) -> bool:
        return False

    def listen(self, listener: Callable[[bool], None]) -> None:
        return
