"""The process of the page: `python -m bwv_device.live_panel.page_server CAMERA LISTENING`.

CAMERA and LISTENING are file descriptors: a stream of frames from and to the camera, and a socket
that listens. It ends when the camera's end of the stream is closed. It holds no key of the camera.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from bwv_device.live_panel import frames
from bwv_device.live_panel.frames import Frame, FrameReader
from bwv_device.live_panel.hub import Hub
from bwv_device.live_panel.page import Page
from bwv_device.live_panel.vault_judge import VaultJudge
from bwv_device.web import serve
from bwv_device.web.guard import REPORT_POLICY, Guard

READ_BYTES = 256 << 10
NICE = 5


class PageServer:
    """The page between one camera and its browsers."""

    def __init__(self, camera: socket.socket, listening: socket.socket, films: Path) -> None:
        self._camera, self._listening, self._films = camera, listening, films
        self._hub = Hub()
        self._look = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Until the camera is gone."""
        reader, self._writer = await asyncio.open_connection(sock=self._camera)
        frame_reader = FrameReader()
        about, rest = await self._first(reader, frame_reader)
        server = serve.server(self._app(about), sockets=True)
        serving = asyncio.create_task(server.serve(sockets=[self._listening]))
        judge = VaultJudge(about, self._films) if about["vault"] else None
        looking = asyncio.create_task(self._keep_looking(judge))
        for frame in rest:
            self._take(frame)
        while data := await reader.read(READ_BYTES):
            for frame in frame_reader.feed(data):
                self._take(frame)
        self._hub.tell({"kind": "ended"})
        looking.cancel()
        if judge:
            judge.end()
        await asyncio.sleep(0.1)  # the goodbye goes out
        server.should_exit = True
        await serving

    async def _first(
        self, reader: asyncio.StreamReader, frame_reader: FrameReader
    ) -> tuple[dict[str, Any], list[Frame]]:
        """The first frame says what the page is about."""
        while data := await reader.read(READ_BYTES):
            if waiting := list(frame_reader.feed(data)):
                return waiting[0].table(), waiting[1:]
        raise SystemExit(0)

    def _app(self, about: dict[str, Any]) -> ASGIApp:
        if about.get("nice"):
            _give_way()
        shown = {key: value for key, value in about.items() if key in Page.SHOWN}
        self._hub.tell({"kind": "about", **shown})
        folder = Path(about["folder"]) if about["folder"] else None
        page = Page(self._hub, shown, self._ask, folder, self._films)
        host = self._listening.getsockname()[0]
        return Guard(page.app(), [host], about.get("token", ""), {"/report/": REPORT_POLICY})

    def _take(self, frame: Frame) -> None:
        if frame.kind == frames.JSON and frame.table().get("kind") == "look":
            self._look.set()
            return
        self._hub.take(frame)

    def _ask(self, content: dict[str, Any]) -> None:
        """What a browser asks of the camera. Only those who look at their own buttons ask much."""
        assert self._writer
        self._writer.write(frames.message(content))

    async def _keep_looking(self, judge: VaultJudge | None) -> None:
        """Judges the vault each time the camera says that it is worth it, if it may be read."""
        while True:
            await self._look.wait()
            self._look.clear()
            if judge is None:
                continue
            try:
                self._hub.tell(await judge.look())
            except Exception as error:  # the next look may go better, and must come
                self._hub.tell({"kind": "event", "text": f"The storage can't be judged: {error}"})
            finally:
                self._ask({"act": "looked"})


def _give_way() -> None:
    """To the camera: of processor time, and of memory when it runs out."""
    os.nice(NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def main(camera: int, listening: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bwv-films-") as films:
        server = PageServer(
            socket.socket(fileno=camera), socket.socket(fileno=listening), Path(films)
        )
        with contextlib.suppress(ConnectionError):
            asyncio.run(server.run())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
