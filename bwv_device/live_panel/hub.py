"""What the page knows of the camera, and the browsers that look at it.

A browser that comes late is first told what all know. One that reads too slowly loses pictures, up
to the next keyframe; one that reads nothing at all is let go.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterator
from typing import Any

from bwv_device.live_panel import frames
from bwv_device.live_panel.frames import Frame

BROWSERS = 64
LEDGER_LINES, EVENTS = 200, 200
# Of one browser.
WAITING_BYTES = 4 << 20
WAITING_MESSAGES = 2000


class Browser:
    """One that looks. `next` gives text for a message and bytes for a picture. `gone` is set when
    it reads nothing any more."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._waiting: deque[str | bytes] = deque()
        self._bytes = 0
        self._change = asyncio.Event()
        self._until_keyframe = True
        self.gone = asyncio.Event()

    def put(self, message: str) -> None:
        if len(self._waiting) >= WAITING_MESSAGES:
            self.gone.set()
        else:
            self._waiting.append(message)
        self._change.set()

    def put_picture(self, body: bytes) -> None:
        if self._until_keyframe and not frames.is_keyframe(body):
            return
        self._until_keyframe = self._bytes + len(body) > WAITING_BYTES
        if not self._until_keyframe:
            self._waiting.append(body)
            self._bytes += len(body)
            self._change.set()

    async def next(self) -> str | bytes:
        while not self._waiting:
            self._change.clear()
            await self._change.wait()
        item = self._waiting.popleft()
        if isinstance(item, bytes):
            self._bytes -= len(item)
        return item


class Hub:
    """Fed with frames of the camera."""

    def __init__(self) -> None:
        self._newest: dict[str, str] = {}  # by kind, or by kind and output
        self._lines: deque[tuple[int, str]] = deque(maxlen=LEDGER_LINES)
        self._events: deque[str] = deque(maxlen=EVENTS)
        self._keyframe = b""
        self._browsers: dict[int, Browser] = {}
        self._count = 0

    @property
    def browsers(self) -> int:
        return len(self._browsers)

    @property
    def keyframe(self) -> bytes:
        """The newest, an access unit; empty before there is one."""
        return self._keyframe[frames.PICTURE_HEAD.size :]

    def take(self, frame: Frame) -> None:
        if frame.kind == frames.PICTURE:
            if frames.is_keyframe(frame.body):
                self._keyframe = frame.body
            for browser in self._browsers.values():
                browser.put_picture(frame.body)
        else:
            self.tell(frame.table())

    def tell(self, content: dict[str, Any]) -> None:
        """A message to all, kept for those who come later."""
        text = json.dumps(content, separators=(",", ":"))
        kind = content["kind"]
        if kind == "line":
            # After a power cut the ledger goes on from its last durable line.
            while self._lines and self._lines[-1][0] >= content["n"]:
                self._lines.pop()
            self._lines.append((content["n"], text))
        elif kind == "event":
            self._events.append(text)
        else:
            self._newest[f"{kind} {content.get('output', '')}"] = text
        for browser in self._browsers.values():
            browser.put(text)

    def join(self) -> Browser | None:
        """None where there are too many."""
        if len(self._browsers) >= BROWSERS:
            return None
        self._count += 1
        browser = Browser(self._count)
        for text in self._known():
            browser.put(text)
        if self._keyframe:
            browser.put_picture(self._keyframe)
        self._browsers[browser.number] = browser
        return browser

    def leave(self, browser: Browser) -> None:
        self._browsers.pop(browser.number, None)

    def _known(self) -> Iterator[str]:
        yield from self._newest.values()
        yield from (text for _, text in self._lines)
        yield from self._events
