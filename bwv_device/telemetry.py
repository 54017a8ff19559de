"""What the camera tells the outside about itself: its state, and the head of its ledger.

Advisory: nothing here can hold recording up. The head is the public anchor against which a cut
ledger shows.
"""

from __future__ import annotations

import json
from typing import Any

from hal.ports import Anchor, MqttLink

VERSION = "v1"


class Telemetry:
    """Publishes the retained state topic, only when something changed."""

    def __init__(self, link: MqttLink, agency: str, device: str) -> None:
        self._link = link
        self._topic = f"bwv/{VERSION}/{agency}/{device}/state"
        self._last: bytes | None = None

    def publish(self, state: dict[str, Any], anchor: Anchor | None) -> None:
        head = anchor._asdict() if anchor else None
        payload = json.dumps({**state, "ledger_head": head}, sort_keys=True).encode()
        if payload != self._last:
            self._last = payload
            self._link.publish(self._topic, payload, retain=True)
