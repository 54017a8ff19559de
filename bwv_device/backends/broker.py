"""Connects the camera to its broker, with an outbox on disk, as the configuration says."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bwv_device.backends.broker_process import BrokerProcess
from bwv_device.errors import MissingPartError
from bwv_device.settings import Settings
from hal.mqtt.paho_link import Broker, MqttThread, PahoLink, tls_context
from hal.mqtt.sqlite_outbox import SqliteOutbox
from hal.ports import Board, HardwareError


@contextmanager
def at_the_broker(board: Board, settings: Settings) -> Iterator[Board]:
    """The board with link and outbox. Raises `MissingPartError` where keys can't be used."""
    mqtt = settings.mqtt
    outbox = SqliteOutbox(Path(mqtt.outbox), mqtt.outbox_messages, mqtt.outbox_kib << 10)
    link = BrokerProcess(_about(settings, board.identity.device))
    try:
        yield replace(board, mqtt=link, outbox=outbox)
    finally:
        link.end()
        outbox.close()


def _about(settings: Settings, device: str) -> dict[str, Any]:
    """What the broker's process has to know. Raises `MissingPartError` where keys can't be used."""
    mqtt, files = settings.mqtt, settings.device
    ca = mqtt.ca or settings.dock.root
    _tls(settings)
    return {
        "device": device,
        "broker": _broker(settings, device, acknowledges=True),
        "ca": ca,
        "certificate": files.certificate,
        "key": files.key,
        "root": settings.dock.root if Path(settings.dock.root).is_file() else "",
    }


def open_line(
    thread: MqttThread, settings: Settings, device: str, *, acknowledges: bool = True
) -> PahoLink:
    """As the configuration asks for it. Raises `MissingPartError` where keys can't be used."""
    broker = _broker(settings, device, acknowledges=acknowledges)
    return PahoLink(thread, broker, _tls(settings))


def _broker(settings: Settings, device: str, *, acknowledges: bool) -> Broker:
    mqtt = settings.mqtt
    expiry_s = 60 * mqtt.session_expiry_min
    return Broker(mqtt.broker, mqtt.port, device, mqtt.keepalive_s, expiry_s, acknowledges)


def _tls(settings: Settings) -> ssl.SSLContext:
    mqtt, files = settings.mqtt, settings.device
    try:
        return tls_context(
            Path(mqtt.ca or settings.dock.root), Path(files.certificate), Path(files.key)
        )
    except HardwareError as error:
        raise MissingPartError(str(error), error.remedy) from None
