"""Backends of a camera that is alone: no uplink, no broker, no outbox, no second slot."""

from __future__ import annotations

from collections.abc import Sequence

from hal.ports import (
    Body,
    MqttListener,
    MqttMessage,
    OutboxFill,
    Outgoing,
    Running,
    StoreError,
    StoreTrouble,
    Waiting,
)

NO_SLOTS = "this machine has no second slot (docs/image.md)"


class NoUplink:
    """`hal.ports.Uplink`: no evidence store is configured."""

    def create(self, key: str, body: Body) -> None:
        raise StoreError(StoreTrouble.DENIED, "no evidence store is configured")

    def read(self, key: str, limit: int) -> bytes:
        raise StoreError(StoreTrouble.DENIED, "no evidence store is configured")


class NoMqtt:
    """`hal.ports.MqttLink`: no broker is configured."""

    def open(self, will: MqttMessage, subscriptions: Sequence[str], listener: MqttListener) -> None:
        listener.closed("no broker is configured")

    def publish(self, token: int, message: MqttMessage) -> None:
        return

    def close(self, farewell: MqttMessage | None = None) -> None:
        return


class NoOutbox:
    """`hal.ports.Outbox`: nothing is sent, nothing waits."""

    def put(self, items: Sequence[Outgoing]) -> None:
        return

    def after(self, row: int, limit: int) -> list[Waiting]:
        return []

    def remove(self, rows: Sequence[int]) -> None:
        return

    def fill(self) -> OutboxFill:
        return OutboxFill(0, 0, 0)


class NoSlots:
    """`hal.ports.Slots`: a machine whose software somebody installs by hand."""

    def running(self) -> Running:
        return Running("")

    def install(self, bundle: str) -> None:
        raise OSError(NO_SLOTS)

    def cancel(self) -> None:
        return

    def start_other(self) -> None:
        raise OSError(NO_SLOTS)

    def keep(self) -> None:
        raise OSError(NO_SLOTS)

    def end_trial(self) -> None:
        raise OSError(NO_SLOTS)
