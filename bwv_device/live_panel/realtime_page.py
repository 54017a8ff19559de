"""The page of a camera that runs in real time, simulated or not.

Everything here only looks on: what the camera hands over is handed on first and copied then, and
nothing that fails here reaches the camera.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bwv_device.camera.agent import Agent
from bwv_device.camera.loop import Loop
from bwv_device.live_panel.acts import ActError, Button, Sentence, Verify, from_table
from bwv_device.live_panel.camera_view import CameraView
from bwv_device.live_panel.page_process import PageProcess
from bwv_device.settings import Settings
from hal.panel.face import Face, PressableFace
from hal.ports import (  # fmt: skip
    AccessUnit,
    Board,
    Camera,
    CaptureLoss,
    Disk,
    Impairment,
    Level,
    Opened,
    Stuck,
    Track,
    UnitSink,
    VideoFormat,
)

MS = 1_000_000
EVERY_NS = 200 * MS
LEDGER = "ledger/"


class RealtimePage:
    """`fingers` is None where the page may only look: on a real camera."""

    def __init__(
        self,
        listening: socket.socket,
        settings: Settings,
        face: Face,
        fingers: PressableFace | None,
        token: str,
        identity: str,
    ) -> None:
        """Takes the socket over. `identity` opens the footage, for a page that plays it; "" where
        there is none."""
        self._fingers = fingers
        self._process = PageProcess(
            listening,
            about_page(settings, fingers, token, identity),
            self._asked if fingers else None,
        )
        self._view = CameraView(self._process.tell)
        self._failed = False
        face.watch_levels(self._level)

    def board(self, board: Board) -> Board:
        """The same board, looked at."""
        return replace(
            board,
            camera=_SeenCamera(board.camera, self._process.show),
            disk=_SeenDisk(board.disk, self._view.ledger_grew),
        )

    def watch(self, agent: Agent, loop: Loop) -> None:
        """On the agent's loop, from now on."""
        if self._failed or not self._process.alive:
            return
        try:
            self._tell_state(agent, loop.now_ns())
        except Exception as error:  # whatever a page wants to know, the camera goes on
            self._failed = True
            self._process.tell({"kind": "event", "text": f"The page has lost the camera: {error}"})
        loop.call_at(loop.now_ns() + EVERY_NS, lambda: self.watch(agent, loop))

    def __enter__(self) -> RealtimePage:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()

    def _tell_state(self, agent: Agent, now_ns: int) -> None:
        self._process.tell(
            {
                "kind": "status",
                **self._view.state(agent, now_ns),
                "time_ms": now_ns // MS,
                "rate": 1,
                "on": self._fingers.on() if self._fingers else [],
                "left_out": self._process.left_out,
            }
        )

    def _level(self, output: str, at_ns: int, level: Level, pattern: str) -> None:
        told = {"output": output, "level": level.value, "pattern": pattern, "at_ms": at_ns // MS}
        self._process.tell({"kind": "level", **told})

    def _asked(self, table: dict[str, Any]) -> None:
        """In the page's thread. A page that may only look is not heard at all."""
        assert self._fingers
        try:
            act = from_table(table)
        except ActError:
            return
        if isinstance(act, Button):
            self._fingers.move(act.button, pressed=act.pressed)
        elif isinstance(act, Verify):
            self._process.tell({"kind": "look"})
        elif isinstance(act, Sentence):
            try:
                self._fingers.do(act.text)
            except ValueError as error:
                self._process.tell({"kind": "event", "text": str(error)})


def about_page(
    settings: Settings, fingers: PressableFace | None, token: str, identity: str
) -> Mapping[str, Any]:
    """What the page's process is told first."""
    root = Path(settings.dock.root)
    return {
        "title": f"Camera of {settings.device.agency}" if fingers is None else "A camera to press",
        "mode": "realtime",
        "controls": fingers is not None,
        "touchable": fingers is not None,
        "verifies": fingers is not None,
        "note": "This page only looks: nothing on it reaches the camera."
        if fingers is None
        else "The agent runs in real time, on a real disk.",
        "switches": fingers.switches() if fingers else [],
        "rates": [],
        "gestures": [],
        "buttons": {
            "stop_hold_ms": settings.buttons.stop_hold_ms,
            "flag_hold_ms": settings.buttons.flag_hold_ms,
        },
        "video": {"width": settings.video.width, "height": settings.video.height},
        "pre_event_s": settings.recording.pre_event_s,
        "token": token,
        "folder": "",
        "vault": str(Path(settings.device.vault).absolute()) if fingers else "",
        "root": str(root.absolute()) if root.exists() else "",
        "identity": identity,
        "nice": True,
    }


class _SeenCamera:
    """`hal.ports.Camera`."""

    def __init__(self, inner: Camera, show: Callable[[Sequence[AccessUnit]], None]) -> None:
        self._inner, self._show = inner, show

    @property
    def format(self) -> VideoFormat:
        return self._inner.format

    def start(self, sink: UnitSink) -> None:
        self._inner.start(_SeenUnits(sink, self._show))

    def stop(self) -> None:
        self._inner.stop()

    def request_keyframe(self) -> None:
        self._inner.request_keyframe()

    def caption(self, words: str) -> None:
        self._inner.caption(words)


class _SeenUnits:
    """`hal.ports.UnitSink`: the camera's first, then the page's."""

    def __init__(self, inner: UnitSink, show: Callable[[Sequence[AccessUnit]], None]) -> None:
        self._inner, self._show = inner, show

    def units(self, batch: Sequence[AccessUnit]) -> None:
        self._inner.units(batch)
        with contextlib.suppress(Exception):  # a copy that fails is no business of the camera's
            self._show([unit for unit in batch if unit.track is Track.VIDEO])

    def lost(self, loss: CaptureLoss) -> None:
        self._inner.lost(loss)

    def impaired(self, impairment: Impairment) -> None:
        self._inner.impaired(impairment)

    def opened(self, opened: Opened) -> None:
        self._inner.opened(opened)

    def stuck(self, stuck: Stuck) -> None:
        self._inner.stuck(stuck)


class _SeenDisk:
    """`hal.ports.Disk`."""

    def __init__(self, inner: Disk, grew: Callable[[bytes], None]) -> None:
        self._inner, self._grew = inner, grew
        self.create, self.sync = inner.create, inner.sync
        self.rename, self.remove = inner.rename, inner.remove
        self.names, self.size, self.read = inner.names, inner.size, inner.read
        self.free_bytes, self.total_bytes = inner.free_bytes, inner.total_bytes
        self.free_files = inner.free_files

    def append(self, path: str, *blocks: bytes) -> None:
        self._inner.append(path, *blocks)
        if path.startswith(LEDGER):
            with contextlib.suppress(Exception):  # the line is written; that is what counts
                self._grew(b"".join(blocks))
