"""What `bwv run` prints: lights, sounds and events beside the camera, with the time of day."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bwv_device.camera.state_table import Event, State
from bwv_device.formats.visible_text import visible
from hal.ports import Anchor, Board, Indicator, Pattern

Say = Callable[[str], None]
# Kinds of lines that are shown otherwise (lights, sounds, states), or only count bytes.
SILENT = {"boot", "cue", "open", "recovery", "seal", "state", "stop", "sync"}
WORDS = {
    "marker": "marked",
    "flag": "flagged as important",
    "still": "snapshot taken",
    "refused": "REFUSED",
    "fault": "FAULT",
    "gap": "GAP in the footage",
    "close": "recording finished",
    "wipe": "removed from the camera (it is in the evidence store)",
    "receipt": "the evidence store has it",
    "refusal": "the evidence store refuses",
    "public-informed": "those present were told",
}
DETAILS = (
    "step", "release", "segment", "recording", "kind", "event", "reason", "conditions", "part",
    "count", "command",
)  # fmt: skip


OFF = ("", "dark", "quiet")


class _ShownIndicator:
    """An indicator that also prints what it shows."""

    def __init__(self, name: str, inner: Indicator, say: Say) -> None:
        self._name, self._inner, self._say = name, inner, say
        self._shown = ""

    def show(self, pattern: Pattern, lease_until_ns: int | None, then: Pattern) -> None:
        was_off, is_off = self._shown in OFF, pattern.name in OFF
        if pattern.name != self._shown and not (was_off and is_off):
            self._say(f"{self._name}: {pattern.name}")
        self._shown = pattern.name
        self._inner.show(pattern, lease_until_ns, then)

    def play(self, pattern: Pattern) -> None:
        self._say(f"{self._name}: {pattern.name}")
        self._inner.play(pattern)

    def watch(self, failed: Callable[[str], None]) -> None:
        self._inner.watch(failed)


class RunDisplay:
    """`say` prints a line; `utc_ns` is the wall clock."""

    def __init__(self, say: Say, utc_ns: Callable[[], int]) -> None:
        self._say, self._utc_ns = say, utc_ns
        self._counts: Counter[str] = Counter()

    def board(self, board: Board) -> Board:
        """The same board, whose lights and sounds are printed too."""
        return replace(
            board,
            front_light=_ShownIndicator("red light", board.front_light, self.line),
            status_light=_ShownIndicator("status light", board.status_light, self.line),
            beeper=_ShownIndicator("beeper", board.beeper, self.line),
            haptic=_ShownIndicator("vibration", board.haptic, self.line),
        )

    def line(self, text: str) -> None:
        now = datetime.datetime.fromtimestamp(self._utc_ns() / 1e9).astimezone()
        self._say(f"{now:%H:%M:%S}.{now.microsecond // 100_000}  {visible(text)}")

    def transition(self, before: State, event: Event, after: State) -> None:
        self._counts["recording"] += before is State.READY and after is State.RECORDING
        self.line(f"{before.value} → {after.value}  ({event.value})")

    def noted(self, kind: str, fields: Mapping[str, Any], _at: Anchor) -> None:
        """A line of the ledger, now durable."""
        self._counts[kind] += 1
        if kind not in SILENT:
            self.line(": ".join(filter(None, (WORDS.get(kind, kind), _details(fields)))))

    def summary(self, vault: Path, root: Path) -> str:
        """What was recorded, and how to look at it."""
        what = {"recording": "recordings", "marker": "markers", "flag": "flags",
                "refused": "refusals", "fault": "faults"}  # fmt: skip
        counted = [f"{self._counts[kind]} {name}" for kind, name in what.items()]
        return (
            f"{', '.join(counted)}. The vault is {vault}.\n"
            f"Check it: bwv verify {vault} --root {root}"
        )


def _details(fields: Mapping[str, Any]) -> str:
    shown = []
    for name in DETAILS:
        value = fields.get(name)
        if isinstance(value, (list, tuple)):
            value = " and ".join(f"not met: {item}" for item in value)
        if value not in (None, ""):
            shown.append(str(value))
    return ", ".join(shown)
