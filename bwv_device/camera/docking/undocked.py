"""When flagged recordings are sent while the camera is in use: where policy allows it, nothing is
recorded and the battery is good; once for each flag, and again after a while where it did not go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bwv_device.camera.health.battery_bands import Band
from bwv_device.camera.loop import Loop
from bwv_device.settings import Settings, seconds

AGAIN_NS = seconds(300)


class UndockedDelivery:
    """What earlier boots flagged is looked for once."""

    def __init__(self, loop: Loop, settings: Settings) -> None:
        self._loop = loop
        self._allowed = settings.policy.undocked_delivery and bool(settings.dock.store)
        self._waiting = True
        self._not_before_ns = 0

    def noted(self, kind: str, fields: Mapping[str, Any]) -> None:
        if kind == "flag":
            self._waiting, self._not_before_ns = True, 0
        elif kind == "close" and self._waiting:  # what was flagged is whole now
            self._not_before_ns = 0
        elif kind == "delivery" and fields["outcome"] in ("flagged", "complete"):
            self._waiting = False

    def due(self, band: Band, outcome: str) -> bool:
        """`outcome` of the delivery as it is: one that is under way is left alone."""
        now_ns = self._loop.now_ns()
        able = self._allowed and self._waiting and band is Band.NORMAL
        if not able or outcome == "delivering" or now_ns < self._not_before_ns:
            return False
        self._not_before_ns = now_ns + AGAIN_NS
        return True
