"""Whether a running camera has a page, and where it listens.

Nothing listens on a real camera unless its own configuration says so; then only on loopback, only
for whoever has the token, and only to be looked at.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

from bwv_device.camera.agent import Agent
from bwv_device.camera.loop import Loop
from bwv_device.errors import MissingPartError
from bwv_device.keys import load_identities
from bwv_device.settings import Settings
from bwv_device.web.listen import ListenError, bind, is_loopback, parse_address, read_token, url
from hal.panel.face import FacedBoard, PressableFace
from hal.ports import Board

# Only looked for: the camera's process does not load it.
SERVER = "uvicorn"


class CameraPage(Protocol):
    """A context manager; leaving it ends the page."""

    def board(self, board: Board) -> Board: ...

    def watch(self, agent: Agent, loop: Loop) -> None: ...

    def __enter__(self) -> object: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class NoPage:
    """Nothing listens, and nothing of a page is loaded."""

    def board(self, board: Board) -> Board:
        return board

    def watch(self, agent: Agent, loop: Loop) -> None:
        return

    def __enter__(self) -> NoPage:
        return self

    def __exit__(self, *_: object) -> None:
        return


class Listening(NamedTuple):
    """A socket that waits for browsers, and what they have to know; `address` is for a person."""

    socket: socket.socket
    token: str
    address: str


def listen(
    settings: Settings,
    asked: str | None,
    *,
    simulated: bool,
    warn: Callable[[str], None] = lambda text: None,
) -> Listening | None:
    """Where the page listens; None where there is to be none. Raises `ListenError` or
    `MissingPartError`; but a real camera records without its page, and `warn` hears why there is
    none."""
    try:
        return _listen(settings, asked, simulated=simulated)
    except (ListenError, MissingPartError) as error:
        if simulated or asked:
            raise
        warn(f"There is no page: {error}")
        return None


def _listen(settings: Settings, asked: str | None, *, simulated: bool) -> Listening | None:
    configured = settings.live_panel.listen
    if asked and not simulated:
        raise ListenError(
            "A real camera shows no page because of an option.",
            "Set [live_panel] listen in its configuration: the page can only look.",
        )
    where = asked or configured
    if not where:
        return None
    if find_spec(SERVER) is None:
        raise MissingPartError(
            "A page needs packages that are not installed.",
            "Install them: pip install 'bwv-device[panel]'.",
        )
    host, port = parse_address(where)
    if not simulated and not is_loopback(host):
        raise ListenError(
            f"A real camera does not listen on {host}, which other machines reach.",
            "Use 127.0.0.1, and 'ssh -L' to look from elsewhere.",
        )
    open_to_all = simulated and is_loopback(host)
    token = "" if open_to_all else read_token(Path(settings.live_panel.token))
    listening = bind(host, port, token)
    return Listening(listening, token, url(listening, token))


def open_page(
    listening: Listening | None,
    hardware: Board,
    settings: Settings,
    identity: Path | None,
    *,
    simulated: bool,
    warn: Callable[[str], None] = lambda text: None,
) -> CameraPage:
    """The page of this camera, where one is wanted. A real camera records without it where its
    process can't be started, and `warn` hears why. For a simulated one raises `OSError`, and
    `KeyFileError` for an identity that can't be used."""
    if listening is None or not isinstance(hardware, FacedBoard):
        return NoPage()
    from bwv_device.live_panel.realtime_page import RealtimePage  # noqa: PLC0415 - only then

    fingers: PressableFace | None = hardware.face if simulated else None  # type: ignore[assignment]
    opened = ""
    if identity and simulated:
        load_identities(identity)  # a file that opens nothing is said here, not by the page
        opened = str(identity.absolute())
    try:
        return RealtimePage(
            listening.socket, settings, hardware.face, fingers, listening.token, opened
        )
    except OSError as error:
        if simulated:
            raise
        warn(f"There is no page: {error}")
        return NoPage()
