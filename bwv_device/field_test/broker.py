"""Whether the broker accepts this camera, and how long the connection takes."""

from __future__ import annotations

import threading
import time

from bwv_device.backends.broker import open_line
from bwv_device.errors import MissingPartError
from bwv_device.field_test.findings import Finding, Grade, judged
from bwv_device.settings import Settings
from hal.mqtt.paho_link import MqttThread

PATIENCE_S = 15.0
REMEDY = "Look at [mqtt], the network and the broker's log. Recording does not need it."


class _Ear:
    """Waits for the first word. What else comes belongs to the camera, later."""

    def __init__(self) -> None:
        self.heard = threading.Event()
        self.reason = "it does not answer"

    def connected(self) -> None:
        self.reason = ""
        self.heard.set()

    def sifted_out(self, reason: str, count: int) -> None: ...

    def closed(self, reason: str) -> None:
        self.reason = reason
        self.heard.set()

    def acknowledged(self, token: int) -> None:
        return

    def refused(self, token: int, reason: str, *, final: bool) -> None:
        return

    def received(self, topic: str, payload: bytes) -> None:
        return


def look(settings: Settings, device: str) -> Finding:
    """Connects once, says nothing, and leaves in order."""
    if not settings.mqtt.broker:
        remedy = "Set mqtt.broker, or do without telemetry."
        return Finding("network", "broker", Grade.NOT_TESTED, "none is set", remedy)
    thread, ear = MqttThread(), _Ear()
    try:
        # A command that waits is the camera's, not ours.
        line = open_line(thread, settings, device, acknowledges=False)
        began_s = time.monotonic()
        line.open(None, (), ear)
        ear.heard.wait(PATIENCE_S)
        took_s = time.monotonic() - began_s
        line.close()
    except MissingPartError as error:
        ear.reason = str(error)
    finally:
        thread.close()
    measured = ear.reason or f"connected in {took_s:.2f} s"
    return judged("network", "broker", measured, good=not ear.reason, poor=True, remedy=REMEDY)
