"""What was done by hand, as a scenario that `bwv-sim scenario` plays again."""

from __future__ import annotations

import json
from typing import Any

from bwv_device.settings import MIB, Settings
from hal.ports import SECOND_NS

TITLE = "What was done on the live panel"
ABOUT = (
    "Recorded by the live panel. Played again, people, faults and times are the same; pictures and "
    "sounds are the scenario's own."
)
# Of sentences: some hours of somebody who never stops pressing.
LIMIT = 20_000


class Script:
    """Sentences with their times."""

    def __init__(self, settings: Settings, card_bytes: int) -> None:
        self._settings, self._card_bytes = settings, card_bytes
        self._steps: list[str] = []
        self.left_out = 0

    def add(self, at_ns: int, sentence: str) -> None:
        if len(self._steps) < LIMIT:
            self._steps.append(f"at {clock(at_ns)} {sentence}")
        else:
            self.left_out += 1

    def text(self) -> str:
        """TOML."""
        head = [f"title = {json.dumps(TITLE)}", f"about = {json.dumps(ABOUT)}",
                f"card_mib = {self._card_bytes // MIB}"]  # fmt: skip
        steps = ["steps = [", *(f"    {json.dumps(step)}," for step in self._steps), "]"]
        return "\n".join([*head, *steps, *_tables(self._settings), ""])


def clock(at_ns: int) -> str:
    """`h:mm:ss.nnnnnnnnn`, as exact as the loop's time."""
    seconds, nanoseconds = divmod(at_ns, SECOND_NS)
    fraction = f".{nanoseconds:09}".rstrip("0") if nanoseconds else ""
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}{fraction}"


def _tables(settings: Settings) -> list[str]:
    """What differs from the defaults."""
    lines = []
    defaults = Settings().as_dict()
    for section, values in settings.as_dict().items():
        other: dict[str, Any] = {k: v for k, v in values.items() if v != defaults[section][k]}
        if other:
            lines.append(f"\n[settings.{section}]")
            lines += [f"{name} = {json.dumps(value)}" for name, value in other.items()]
    return lines
