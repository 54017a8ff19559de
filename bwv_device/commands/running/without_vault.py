"""What a camera shows whose storage can't be used: that it can't record. It must not be dark, or an
officer who sees nothing believes that all is well.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import Any

from bwv_device.camera.indicators import patterns
from bwv_device.settings import Settings
from hal.ports import Edge, HardwareError

# Then the supervisor tries the storage again, in a new process.
LONGEST_S = 30.0


def show_that_it_cannot_record(settings: Settings, patience_s: float = LONGEST_S) -> None:
    """The status light says so, and each press of the record button is refused audibly; until
    SIGTERM, SIGINT, or for `patience_s`. Where there is no panel either, returns at once."""
    from hal.rpi.board import open_panel

    try:
        panel = open_panel(settings.as_dict())
    except (HardwareError, ImportError):
        return
    ended = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: ended.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    with contextlib.closing(panel):
        show_on(panel)
        ended.wait(patience_s)
    for number, handler in before.items():
        signal.signal(number, handler)


def show_on(panel: Any) -> None:
    """`panel` has the attributes of `hal.panel.gpio_panel.Panel`."""

    def pressed(edge: Edge) -> None:
        if edge.pressed:
            panel.beeper.play(patterns.REFUSED)

    panel.record_button.listen(pressed)
    panel.status_light.show(patterns.UNABLE, None, patterns.UNABLE)
