"""The camera's line to its broker and its outbox, as the configuration asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bwv_device.errors import MissingPartError
from bwv_device.settings import Settings
from hal.network import Broker, MqttThread, PahoLink, tls_context
from hal.outbox import SqliteOutbox
from hal.ports import Board, HardwareError


@contextmanager
def at_the_broker(board: Board, settings: Settings) -> Iterator[Board]:
    """The board with link and outbox; as it was where no broker is set. Raises `MissingPartError`
    where keys can't be used."""
    mqtt, device = settings.mqtt, settings.device
    if not mqtt.broker:
        yield board
        return
    try:
        tls = tls_context(
            Path(mqtt.ca or settings.dock.root), Path(device.certificate), Path(device.key)
        )
    except HardwareError as error:
        raise MissingPartError(str(error), error.remedy) from None
    broker = Broker(
        mqtt.broker,
        mqtt.port,
        board.identity.device,
        mqtt.keepalive_s,
        60 * mqtt.session_expiry_min,
    )
    outbox = SqliteOutbox(Path(mqtt.outbox), mqtt.outbox_messages, mqtt.outbox_kib << 10)
    thread = MqttThread()
    try:
        yield replace(board, mqtt=PahoLink(thread, broker, tls), outbox=outbox)
    finally:
        thread.close()
        outbox.close()
