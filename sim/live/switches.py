"""The world's switches on the live panel: each is a sentence of a scenario, so that what was done
by hand can be played again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hal.simulated.disk import Operation
from sim.faults import KINDS
from sim.scenario.stage import WAYS, Stage
from sim.world.world import World


class Toggle(NamedTuple):
    """Something that is so, or is not. `is_on` looks at the world itself."""

    id: str
    label: str
    on: str
    off: str
    is_on: Callable[[World], bool]


class Choice(NamedTuple):
    """A sentence with a number in it: `{}` stands for one of the values."""

    id: str
    label: str
    sentence: str
    values: tuple[str, ...]


def _stalled(device: str) -> Callable[[World], bool]:
    return lambda world: bool(getattr(getattr(world, device), "stalled", False))


def _broken(world: World, pin: str) -> bool:
    return world.panel is not None and world.panel.is_broken(pin)


def _refuses(world: World) -> bool:
    """Whether the next operation of the disk would fail, whatever it is."""
    return world.disk.refuse(Operation(0, "append", "", 0)) != 0


TOGGLES = (
    Toggle("camera", "Camera stalls", "camera stalls", "camera delivers again", _stalled("camera")),
    Toggle("microphone", "Microphone unplugged", "microphone is unplugged",
           "microphone is plugged in", _stalled("microphone")),
    Toggle("front-light", "Front light broken", "front light fails", "front light is repaired",
           lambda world: _broken(world, "front_light")),
    Toggle("beeper", "Beeper broken", "beeper fails", "beeper is repaired",
           lambda world: _broken(world, "beeper")),
    Toggle("disk", "Storage fails", "disk refuses everything with EIO", "disk works again",
           _refuses),
    Toggle("network", "No network", "no network", "network is back",
           lambda world: not world.broker.reachable),
    Toggle("undervoltage", "Undervoltage", "undervoltage", "undervoltage is over",
           lambda world: world.power.undervoltage),
)  # fmt: skip
CHOICES = (
    Choice("battery", "Battery, %", "battery is at {} percent", ("100", "50", "15", "6", "2", "0")),
    Choice("room", "Storage left, MiB", "disk has {} MiB left", ("800", "300", "160", "130", "0")),
    Choice("slow", "Each write takes", "syncs take {} for 1 min", ("200 ms", "1 s", "5 s", "10 s")),
    Choice(
        "step", "Clock jumps by", "clock steps by {}", ("60 s", "-60 s", "1 h", "-1 h", "10 years")
    ),
    Choice(
        "time", "Clock is set, right to", "clock is set to within {}", ("10 ms", "500 ms", "60 s")
    ),
    Choice("board", "Board's temperature, °C", "board is at {} degrees", ("20", "60", "85")),
)


def described() -> list[dict[str, Any]]:
    """All of them, for the page."""
    return [
        *({"type": "toggle", "id": t.id, "label": t.label, "on": t.on, "off": t.off}
          for t in TOGGLES),
        *({"type": "choice", "id": c.id, "label": c.label, "sentence": c.sentence,
           "values": list(c.values)} for c in CHOICES),
        *({"type": "fault", "id": kind.name, "label": kind.what, "way": kind.name in WAYS,
           "promise": kind.promise.value} for kind in KINDS),
    ]  # fmt: skip


def on(stage: Stage) -> list[str]:
    """The toggles that are on, and the faults that strike now."""
    world = stage.world
    return [t.id for t in TOGGLES if t.is_on(world)] + [f"fault {name}" for name in stage.active]
