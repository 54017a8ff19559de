"""A wave of an update over a fleet: which cameras are asked, what became of it, and when it stops.

No clock and no broker: messages in, devices out. What cameras say is unsigned, so it can only slow
a wave down or stop it; a camera judges each offer itself (docs/format.md, 9).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bwv_device.formats.software_offer import OfferError, release_numbers

# Of those that were asked; the wave stops by itself where so many failed.
FAILURES_PERCENT = 2
FAILED, LEFT = ("failed", "returned"), ("refused",)
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
PAYLOAD_LIMIT = 65_536
SHARES = 10_000

ASKED, REFUSED, STARTED, KEPT, WENT_BACK, SILENT = (
    "asked", "refused", "started", "kept", "failed", "silent",
)  # fmt: skip
UNDER_WAY = (ASKED, STARTED)


class Wish(NamedTuple):
    """A release, and the digest of its bundle."""

    release: str
    sha256: str


@dataclass(slots=True)
class Wave:
    """`percent` of the fleet: always the same cameras of a bundle, and those of a smaller wave
    among them. `at_once`: so many may be under way."""

    wish: Wish
    percent: float
    at_once: int = 50
    silence_s: float = 1800.0
    known: dict[str, str] = field(default_factory=dict)  # a camera's release
    outcome: dict[str, str] = field(default_factory=dict)
    reason: dict[str, str] = field(default_factory=dict)
    _asked: dict[str, float] = field(default_factory=dict)
    _started_s: dict[str, float] = field(default_factory=dict)

    # --- what is heard ------------------------------------------------------------------------

    def feed(self, topic: str, payload: bytes, now_s: float) -> None:
        """A message of the fleet. What is none changes nothing."""
        levels = topic.split("/")
        if len(levels) != 5 or not NAME.fullmatch(levels[3]) or len(payload) > PAYLOAD_LIMIT:
            return
        try:
            said = json.loads(payload)
        except ValueError:
            return
        if not isinstance(said, dict):
            return
        if levels[4] == "state":
            self._state(levels[3], said.get("software"))
        elif levels[4] == "event" and said.get("kind") == "update":
            self._event(levels[3], said.get("fields"), now_s)
        elif levels[4] == "reply" and said.get("command") == "update":
            self._reply(levels[3], said)

    def _state(self, device: str, software: Any) -> None:
        if not isinstance(software, dict) or not _is_release(software.get("release")):
            return
        self.known[device] = str(software["release"])
        runs = release_numbers(self.known[device]) >= release_numbers(self.wish.release)
        if runs and software.get("on_trial") is False:
            self.outcome[device] = KEPT

    def _event(self, device: str, fields: Any, now_s: float) -> None:
        if not isinstance(fields, dict) or fields.get("release") != self.wish.release:
            return
        if self.outcome.get(device) not in (*UNDER_WAY, SILENT):
            return
        step = fields.get("step")
        if step == "kept":
            self.outcome[device] = KEPT
        elif step == "started":
            self.outcome[device], self._started_s[device] = STARTED, now_s
        elif step in FAILED:
            self.outcome[device] = WENT_BACK
        elif step in LEFT:
            self.outcome[device] = REFUSED
        if step in (*FAILED, *LEFT):
            self.reason[device] = str(fields.get("reason", ""))[:200]

    def _reply(self, device: str, said: dict[str, Any]) -> None:
        if self.outcome.get(device) == ASKED and said.get("outcome") in ("refused", "failed"):
            self.outcome[device] = REFUSED
            reasons = said.get("reasons")
            self.reason[device] = str(reasons)[:200] if reasons else ""

    # --- what is to be done -------------------------------------------------------------------

    def due(self, now_s: float) -> list[str]:
        """The cameras to be asked now; they count as asked."""
        for device, since_s in self._started_s.items():
            if self.outcome[device] == STARTED and now_s - since_s > self.silence_s:
                self.outcome[device] = SILENT
        if self.stopped:
            return []
        room = self.at_once - sum(self._is_busy(name, now_s) for name in self.outcome)
        wanted = [name for name in self.chosen() if name not in self.outcome]
        found = wanted[: max(0, room)]
        self.outcome.update(dict.fromkeys(found, ASKED))
        self._asked.update(dict.fromkeys(found, now_s))
        return found

    def _is_busy(self, name: str, now_s: float) -> bool:
        """One that was asked long ago is not docked: others need not wait for it."""
        what = self.outcome[name]
        return what == STARTED or (what == ASKED and now_s - self._asked[name] <= self.silence_s)

    def chosen(self) -> list[str]:
        """Of those with slots, in the order of the draw."""
        drawn = sorted((self._share(name), name) for name in self.known)
        return [name for share, name in drawn if share < self.percent * SHARES / 100]

    @property
    def asked(self) -> int:
        return len(self._asked)

    @property
    def failures(self) -> list[str]:
        return [name for name, what in self.outcome.items() if what in (WENT_BACK, SILENT)]

    @property
    def stopped(self) -> bool:
        """Too many of those that were asked have failed."""
        return bool(self.failures) and len(self.failures) * 100 >= FAILURES_PERCENT * self.asked

    @property
    def over(self) -> bool:
        """Nothing is left to ask or to wait for."""
        under_way = any(what in UNDER_WAY for what in self.outcome.values())
        return self.stopped or (not under_way and not set(self.chosen()) - set(self.outcome))

    def to_withdraw(self) -> list[str]:
        """Cameras that were asked, and have not begun."""
        return [name for name, what in self.outcome.items() if what == ASKED]

    def counts(self) -> Counter[str]:
        return Counter(self.outcome.values())

    def _share(self, device: str) -> int:
        drawn = hashlib.sha256(f"{self.wish.sha256} {device}".encode()).digest()
        return int.from_bytes(drawn[:8], "big") % SHARES


def _is_release(text: Any) -> bool:
    try:
        return isinstance(text, str) and bool(release_numbers(text))
    except OfferError:
        return False
