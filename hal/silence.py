"""Links of a camera that is connected to nothing."""

from __future__ import annotations

from hal.ports import Body, StoreError, StoreTrouble


class NoUplink:
    """`hal.ports.Uplink`: no evidence store is configured."""

    def create(self, key: str, body: Body) -> None:
        raise StoreError(StoreTrouble.DENIED, "no evidence store is configured")

    def read(self, key: str, limit: int) -> bytes:
        raise StoreError(StoreTrouble.DENIED, "no evidence store is configured")


class NoMqtt:
    """`hal.ports.MqttLink`: no broker is configured."""

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        return
