"""The wiring of the reference rig as SVG, with the pins of `config.toml`: docs/wiring.svg."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from bwv_device.settings import Pins

# The 40-pin header: BCM number of each physical pin, or what else it is (pinout.xyz, pinout.ai).
HEADER: tuple[int | str, ...] = (
    "3V3", "5V", 2, "5V", 3, "GND", 4, 14, "GND", 15, 17, 18, 27, "GND", 22, 23, "3V3", 24, 10,
    "GND", 9, 25, 11, 8, "GND", 7, "ID", "ID", 5, "GND", 6, 12, 13, "GND", 19, 16, 26, 20, "GND",
    21,
)  # fmt: skip


class WiredPart(NamedTuple):
    name: str
    how: str
    colour: str


PARTS = {
    "front_light": WiredPart("Front light, red LED", "330 Ω to GND", "#c62828"),
    "status_green": WiredPart("Status light, green", "330 Ω to GND", "#2e7d32"),
    "status_red": WiredPart("Status light, red", "330 Ω to GND", "#ef6c00"),
    "beeper": WiredPart("Active buzzer", "NPN transistor, 1 kΩ at its base, 5 V", "#3567b0"),
    "vibration": WiredPart(
        "Vibration motor", "NPN transistor, 1 kΩ, diode across it, 5 V", "#6a4fa3"
    ),
    "record_button": WiredPart("Record button", "to GND; the pin's own pull-up", "#37474f"),
    "marker_button": WiredPart("Marker button", "to GND; the pin's own pull-up", "#78909c"),
}  # fmt: skip

LEFT, TOP, STEP = 70, 70, 20
BOX_LEFT, BOX_WIDTH, BOX_HEIGHT, BOX_STEP = 420, 420, 44, 60
WIDTH, HEIGHT = 880, 500


def svg(pins: Pins) -> str:
    """A whole document. Raises `ValueError` for a pin that the header does not have."""
    parts = [_head(), _case()]
    wired = [(name, pin) for name, pin in asdict(pins).items() if name in PARTS]
    for row, (name, pin) in enumerate(wired):
        parts.append(_wire(PARTS[name], pin, TOP - 6 + row * BOX_STEP, row))
    # Names of pins lie above the wires.
    return "\n".join([*parts, _pins(), "</svg>", ""])


def _head() -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="system-ui, DejaVu Sans, sans-serif" font-size="13">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n'
        '<text x="24" y="32" font-size="18">Reference rig: Raspberry Pi header, BCM numbers</text>'
    )


def _place(physical: int) -> tuple[int, int]:
    """Pin 1 is top left; odd pins on the left."""
    row, column = divmod(physical - 1, 2)
    return LEFT + column * 60, TOP + row * STEP


def _case() -> str:
    return (
        f'<rect x="{LEFT - 46}" y="{TOP - 16}" width="152" height="{20 * STEP + 12}" rx="6" '
        'fill="#f1f4f7" stroke="#b7c1cc"/>'
    )


def _pins() -> str:
    pins = []
    for physical, what in enumerate(HEADER, 1):
        x, y = _place(physical)
        anchor, at = ("end", x - 11) if physical % 2 else ("start", x + 11)
        pins.append(
            f'<circle cx="{x}" cy="{y}" r="5" fill="{_shade(what)}"/>'
            f'<text x="{at}" y="{y + 4}" font-size="10" text-anchor="{anchor}" '
            f'stroke="#f1f4f7" stroke-width="4" paint-order="stroke">{what}</text>'
        )
    return "\n".join(pins)


def _shade(what: int | str) -> str:
    return {"GND": "#222", "5V": "#d84315", "3V3": "#f9a825"}.get(str(what), "#9aa5b1")


def _wire(part: WiredPart, pin: int, y: int, row: int) -> str:
    x0, y0 = _place(HEADER.index(pin) + 1)
    middle = y + BOX_HEIGHT // 2
    bend = 226 + row * 24
    # A wire from the left column passes between the pins of the right one.
    aside = f"v{STEP // 2} " if (HEADER.index(pin) + 1) % 2 else ""
    return (
        f'<path d="M{x0} {y0} {aside}H{bend} V{middle} H{BOX_LEFT}" fill="none" '
        f'stroke="{part.colour}" stroke-width="2.5"/>\n'
        f'<rect x="{BOX_LEFT}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" '
        f'fill="#fff" stroke="{part.colour}" stroke-width="2"/>\n'
        f'<text x="{BOX_LEFT + 12}" y="{y + 18}">{part.name}: BCM {pin} '
        f"(pin {HEADER.index(pin) + 1})</text>\n"
        f'<text x="{BOX_LEFT + 12}" y="{y + 35}" font-size="11" fill="#5c6775">{part.how}</text>'
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(svg(Pins()))
