"""The agent's side of the slots: it asks, and a service with the rights does it.

A request is a file that the agent lays into its own folder; the answer comes into one that only the
service can write.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hal.ports import Running
from hal.rpi.slots import boot_choice
from hal.unconnected import NoSlots

RELEASE = Path("/usr/lib/bwv/release")
REQUEST = Path("/run/bwv-device/slots-request")
CANCEL = Path("/run/bwv-device/slots-cancel")
ANSWER = Path("/run/bwv-slots/answer")
# What runs was kept since the machine started: the firmware goes on saying that it was tried.
KEPT = Path("/run/bwv-slots/kept")
# Writing a slot takes minutes on a slow card.
PATIENCE_S = 1800.0
LOOK_S = 0.2
ANSWER_LIMIT = 4096


class AskedSlots:
    """`hal.ports.Slots` of a machine that the image made."""

    def __init__(
        self,
        release: str,
        taken: boot_choice.Taken,
        request: Path = REQUEST,
        answer: Path = ANSWER,
        cancel: Path = CANCEL,
        kept: Path = KEPT,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._release, self._taken = release, taken
        self._request, self._answer, self._cancel = request, answer, cancel
        self._kept, self._wait = kept, wait

    def running(self) -> Running:
        return Running(self._release, self._taken.tried and not self._kept.exists())

    def install(self, bundle: str) -> None:
        self._cancel.unlink(missing_ok=True)
        self._ask("install", bundle=bundle)

    def cancel(self) -> None:
        with contextlib.suppress(OSError):
            self._cancel.touch()

    def start_other(self) -> None:
        self._ask("start-other")

    def keep(self) -> None:
        self._ask("keep")

    def end_trial(self) -> None:
        self._ask("end-trial")

    def _ask(self, what: str, **more: Any) -> None:
        name = secrets.token_hex(8)
        part = self._request.with_name(f"{self._request.name}.part")
        part.write_text(json.dumps({"id": name, "do": what, **more}))
        os.replace(part, self._request)
        for _ in range(int(PATIENCE_S / LOOK_S)):
            said = self._heard()
            if said.get("id") == name:
                if said.get("error"):
                    raise OSError(str(said["error"]))
                return
            self._wait(LOOK_S)
        raise OSError(f"nobody carries out {what!r}: see 'systemctl status bwv-slots.path'")

    def _heard(self) -> dict[str, Any]:
        try:
            with self._answer.open("rb") as file:
                said = json.loads(file.read(ANSWER_LIMIT))
        except (OSError, ValueError):
            return {}
        return said if isinstance(said, dict) else {}


def open_slots(release: Path = RELEASE, folder: Path = boot_choice.TAKEN) -> AskedSlots | NoSlots:
    """This machine's, where the image made it and a board's firmware started it."""
    try:
        text, taken = release.read_text().strip(), boot_choice.taken(folder)
    except OSError:
        return NoSlots()
    return AskedSlots(text, taken) if boot_choice.is_release(text) else NoSlots()
