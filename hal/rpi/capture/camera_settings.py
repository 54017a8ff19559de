"""Which of the configured settings this camera offers, as libcamera's controls.

A setting that a camera lacks is no error: a fixed lens needs no focus. It is said, and stands in
the ledger. Numbers are those of libcamera's enumerations (control_ids_core.yaml).
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

AF_MANUAL, AF_CONTINUOUS, AF_RANGE_NORMAL = 0, 2, 0
HDR_SINGLE_EXPOSURE = 3
FLICKER_MANUAL = 1


class Chosen(NamedTuple):
    """Controls to set; what that means, in words; and what is not offered."""

    controls: dict[str, Any]
    facts: list[str]
    missing: list[str]


def choose(asked: Any, offered: Container[str]) -> Chosen:
    """`asked` has the fields of `hal.rpi.capture.camera.CameraRequest`; `offered` are the names of
    the camera's controls."""
    wanted: list[tuple[str, dict[str, Any]]] = []
    if asked.focus == "continuous":
        wanted.append(("focus continuous", {"AfMode": AF_CONTINUOUS, "AfRange": AF_RANGE_NORMAL}))
    else:
        lens = {"AfMode": AF_MANUAL, "LensPosition": float(asked.focus_dioptres)}
        wanted.append((f"focus {asked.focus_dioptres:g} dioptres", lens))
    if asked.hdr:
        wanted.append(("HDR", {"HdrMode": HDR_SINGLE_EXPOSURE}))
    if asked.flicker_hz:
        # Lamps flicker twice a period: exposures are a multiple of half of it.
        period = {"AeFlickerMode": FLICKER_MANUAL, "AeFlickerPeriod": 500_000 // asked.flicker_hz}
        wanted.append((f"flicker {asked.flicker_hz} Hz", period))
    chosen = Chosen({}, [], [])
    for words, controls in wanted:
        if all(name in offered for name in controls):
            chosen.controls.update(controls)
            chosen.facts.append(words)
        elif not words.startswith("focus"):
            chosen.missing.append(words)
        else:
            chosen.facts.append("focus fixed")
    return chosen


def sensor_mode(wanted: str, modes: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """picamera2's `sensor` configuration for a mode of this size, "2304x1296", of the greatest bit
    depth; None where the sensor has none."""
    fitting = [mode for mode in modes if "x".join(map(str, mode["size"])) == wanted]
    if not fitting:
        return None
    best = max(fitting, key=lambda mode: int(mode["bit_depth"]))
    return {"output_size": tuple(best["size"]), "bit_depth": best["bit_depth"]}
