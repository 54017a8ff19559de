"""Connects the camera to its broker, with an outbox on disk, as the configuration says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bwv_device.errors import MissingPartError
from bwv_device.settings import Settings
from hal.mqtt.paho_link import Broker, MqttThread, PahoLink, tls_context
from hal.mqtt.sqlite_outbox import SqliteOutbox
from hal.ports import Board, HardwareError


@contextmanager
def at_the_broker(board: Board, settings: Settings) -> Iterator[Board]:
    """The board with link and outbox. Raises `MissingPartError` where keys can't be used."""
    mqtt, thread = settings.mqtt, MqttThread()
    outbox = SqliteOutbox(Path(mqtt.outbox), mqtt.outbox_messages, mqtt.outbox_kib << 10)
    try:
        yield replace(board, mqtt=open_line(thread, settings, board.identity.device), outbox=outbox)
    finally:
        thread.close()
        outbox.close()


def open_line(
    thread: MqttThread, settings: Settings, device: str, *, acknowledges: bool = True
) -> PahoLink:
    """As the configuration asks for it. Raises `MissingPartError` where keys can't be used."""
    mqtt, files = settings.mqtt, settings.device
    try:
        tls = tls_context(
            Path(mqtt.ca or settings.dock.root), Path(files.certificate), Path(files.key)
        )
    except HardwareError as error:
        raise MissingPartError(str(error), error.remedy) from None
    expiry_s = 60 * mqtt.session_expiry_min
    broker = Broker(mqtt.broker, mqtt.port, device, mqtt.keepalive_s, expiry_s, acknowledges)
    return PahoLink(thread, broker, tls)
