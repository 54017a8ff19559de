"""The patterns of lights, beeper and vibration motor (the table in `docs/cues.md`)."""

from __future__ import annotations

from bwv_device.settings import Light, milliseconds
from hal.ports import Level, Pattern, Step


def _blink(name: str, level: Level, on_ms: int, off_ms: int) -> Pattern:
    return Pattern(name, (Step(level, milliseconds(on_ms)), Step(Level.OFF, milliseconds(off_ms))))


def _beeps(name: str, count: int, on_ms: int, off_ms: int = 120) -> Pattern:
    beep = (Step(Level.ON, milliseconds(on_ms)), Step(Level.OFF, milliseconds(off_ms)))
    return Pattern(name, beep * count, once=True)


def _steady(name: str, level: Level) -> Pattern:
    return Pattern(name, (Step(level, 0),))


def recording(light: Light) -> Pattern:
    return _blink("recording", Level.ON, light.recording_on_ms, light.recording_off_ms)


DARK = _steady("dark", Level.OFF)
QUIET = _steady("quiet", Level.OFF)

# Front light. Fast, so that it is not mistaken for "recording"; never dark while capturing.
NOT_STORED = _blink("capturing, not stored", Level.ON, 100, 100)
MUTED = Pattern(
    "recording without sound",
    tuple(
        Step(level, milliseconds(ms))
        for level, ms in ((Level.ON, 150), (Level.OFF, 150), (Level.ON, 150), (Level.OFF, 550))
    ),
)

# Status light.
READY = _blink("ready", Level.GREEN, 1000, 1000)
UNABLE = _steady("cannot record", Level.AMBER)
FAULT = _steady("fault", Level.RED)
DOCKED = _steady("docked", Level.GREEN)
DELIVERING = _blink("delivering", Level.GREEN, 200, 1800)
UNDELIVERED = _blink("docked, footage not delivered", Level.AMBER, 1000, 1000)

# Beeper.
STARTED = _beeps("recording started", 2, 100)
STOPPED = _beeps("recording stopped", 1, 800)
REMINDER = _beeps("recording goes on", 2, 100)
BATTERY = _beeps("battery low", 4, 100)
STORAGE = _beeps("storage low", 3, 100)
CLOCK = _beeps("clock not set", 5, 100)
# Four short as for a battery that is low, and one long: that was the end.
ENDED_EMPTY = Pattern("ended without battery", BATTERY.steps + _beeps("", 1, 800).steps, once=True)
REFUSED = _beeps("refused", 2, 400)
ALARM = _blink("not stored", Level.ON, 200, 100)


def locate(duration_s: int) -> tuple[Pattern, Pattern]:
    """Status light and beeper for locating a camera; not to be mistaken for a recording."""
    light = (Step(Level.GREEN, milliseconds(250)), Step(Level.AMBER, milliseconds(250)))
    beep = (Step(Level.ON, milliseconds(50)), Step(Level.OFF, milliseconds(450)))
    return (
        Pattern("here I am", light * (2 * duration_s), once=True),
        Pattern("here I am", beep * (2 * duration_s), once=True),
    )


# Vibration.
FELT = _beeps("felt", 1, 150)
INFORM = _beeps("tell those present", 3, 200)
COVERT = _beeps("covert goes on", 1, 600)
IMPAIRED = _beeps("pictures or sound show nothing", 2, 600, 300)
