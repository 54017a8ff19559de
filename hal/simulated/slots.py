"""A machine with two systems, which starts one of them whatever happens in between: a model of
slots, boot choice and firmware."""

from __future__ import annotations

from collections.abc import Callable

from hal.ports import Disk, Running

TORN = ""


def refuse_all(bundle: bytes) -> str:
    raise OSError("no bundle is signed by the agency")


class SimulatedSlots:
    """`hal.ports.Slots`. What a slot holds is a release; `TORN` is one that was not written whole.
    `read_bundle` judges a bundle as RAUC does: its release, or `OSError`."""

    def __init__(
        self,
        disk: Disk,
        release: str = "1.0.0",
        read_bundle: Callable[[bytes], str] = refuse_all,
    ) -> None:
        self._disk, self._read_bundle = disk, read_bundle
        self.slots = [release, TORN]
        self.starts = self.runs = 0
        self._other_once = self._installed = False
        self.torn: Callable[[], None] = lambda: None  # half of a slot is written
        self.restarts = 0
        self.installs = 0

    def boot(self) -> None:
        """The firmware: the slot that was asked for once, or the one that starts. What is torn in
        it would not come up: the watchdog's restart takes the other."""
        tried, self._other_once = self._other_once, False
        self._installed = False
        self.runs = 1 - self.starts if tried and self.slots[1 - self.starts] else self.starts

    def running(self) -> Running:
        return Running(self.slots[self.runs], self.runs != self.starts)

    def install(self, bundle: str) -> None:
        if self.runs != self.starts:
            raise OSError("what runs is on trial itself: the other slot is the way back")
        release = self._read_bundle(self._disk.read(bundle))
        if numbers(release) < numbers(self.slots[self.runs]):
            raise OSError(f"{release} is older than what runs")
        self._installed = False
        self.slots[1 - self.runs] = TORN
        self.torn()
        self.installs += 1
        self.slots[1 - self.runs] = release
        self._installed = True

    def cancel(self) -> None:
        return

    def start_other(self) -> None:
        if self.runs != self.starts:
            raise OSError("a slot on trial starts no other")
        if not self._installed:
            raise OSError("nothing was installed since the machine started")
        self._other_once = True
        self.restarts += 1

    def keep(self) -> None:
        self.starts = self.runs

    def end_trial(self) -> None:
        if self.runs == self.starts:
            raise OSError("nothing is on trial")
        self.restarts += 1


def numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))
