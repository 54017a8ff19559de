"""Night: how long and how bright a picture may become, as limits in the camera's tuning.

libcamera has no control for "at most this gain"; its exposure modes (tuning file, algorithm
"rpi.agc": pairs of shutter time in microseconds and gain) are where the firmware itself looks
(Raspberry Pi camera tuning guide, 5.11).
"""

from __future__ import annotations

import copy
from typing import Any


def limited(tuning: dict[str, Any], max_exposure_ms: int, max_gain: int) -> dict[str, Any]:
    """The tuning with every exposure mode kept within the limits; 0 does not limit. Raises
    `ValueError` where the tuning has no such modes."""
    tuning = copy.deepcopy(tuning)
    modes = [mode for agc in _agcs(tuning) for mode in agc.get("exposure_modes", {}).values()]
    if not modes:
        raise ValueError("the camera's tuning has no exposure modes that could be limited")
    for mode in modes:
        if max_exposure_ms:
            mode["shutter"] = [min(us, max_exposure_ms * 1000) for us in mode["shutter"]]
        if max_gain:
            mode["gain"] = [min(gain, float(max_gain)) for gain in mode["gain"]]
    return tuning


def _agcs(tuning: dict[str, Any]) -> list[dict[str, Any]]:
    """One, or one a channel; tuning files of version 1 are a plain table."""
    found: list[dict[str, Any]] = []
    algorithms = tuning.get("algorithms", [tuning])
    for algorithm in algorithms:
        agc = algorithm.get("rpi.agc")
        if agc is not None:
            found += agc.get("channels", [agc])
    return found
