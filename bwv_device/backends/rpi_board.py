"""Entry point `bwv.boards:rpi`: a Raspberry Pi rig (`hal.rpi`)."""

from __future__ import annotations

from bwv_device.camera.stdin_buttons import StdinButtons
from bwv_device.settings import Settings
from hal.panel.face import with_face
from hal.ports import Board, Clock, Disk, Entropy, Identity, Scheduler


def realtime(
    settings: Settings,
    clock: Clock,
    entropy: Entropy,
    disk: Disk,
    identity: Identity,
    scheduler: Scheduler,
) -> Board:
    """The panel has a process of its own. On mock pins its buttons are words on standard input."""
    from hal.rpi.board import open_board, open_panel  # noqa: PLC0415 - hardware

    tables = settings.as_dict()
    panel = open_panel(tables)
    if settings.panel.factory == "mock":
        StdinButtons(panel, scheduler, settings).start()
    return with_face(open_board(tables, panel, clock, entropy, disk, identity), panel)
