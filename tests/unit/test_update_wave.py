"""A wave over a fleet that is only messages: whom it asks, what it counts, when it stops."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bwv_device.fleet.update_wave import Wave, Wish

WISH = Wish("1.1.0", "ab" * 32)


class Fleet:
    """Cameras that do what a wave asks, but for those in `bad`."""

    def __init__(self, wave: Wave, count: int, bad: set[int] | None = None) -> None:
        self.wave, self.bad = wave, bad or set()
        self.names = [f"cam-{number:04d}" for number in range(count)]
        for name in self.names:
            self.says(name, "state", {"software": software("1.0.0")})

    def says(self, name: str, leaf: str, said: dict[str, Any], now_s: float = 0) -> None:
        self.wave.feed(f"bwv/v1/a/{name}/{leaf}", json.dumps(said).encode(), now_s)

    def step(self, name: str, step: str, now_s: float = 0) -> None:
        fields = {"release": "1.1.0", "step": step, "reason": "why"}
        self.says(name, "event", {"kind": "update", "fields": fields}, now_s)

    def run(self, rounds: int = 1000) -> list[str]:
        """All that were asked."""
        asked: list[str] = []
        for _ in range(rounds):
            due = self.wave.due(0)
            asked += due
            for name in due:
                self.step(name, "started")
                good = int(name[-4:]) not in self.bad
                self.step(name, "kept" if good else "returned")
            if self.wave.over:
                break
        return asked


def software(release: str, *, on_trial: bool = False) -> dict[str, Any]:
    return {"release": release, "on_trial": on_trial, "update": "", "last": ""}


def test_a_wave_asks_its_part_and_no_more() -> None:
    wave = Wave(WISH, 10)
    asked = Fleet(wave, 1000).run()
    assert 60 < len(asked) < 140
    assert wave.over
    assert not wave.stopped
    assert wave.counts() == {"kept": len(asked)}


def test_a_larger_wave_holds_the_smaller() -> None:
    small, large = Wave(WISH, 5), Wave(WISH, 50)
    assert set(Fleet(small, 1000).run()) < set(Fleet(large, 1000).run())
    other = Wave(Wish("1.2.0", "cd" * 32), 5)
    Fleet(other, 1000)
    assert set(other.chosen()) != set(small.chosen())


def test_at_once_no_more_than_so_many() -> None:
    wave = Wave(WISH, 100, at_once=7)
    fleet = Fleet(wave, 100)
    first = wave.due(0)
    assert len(first) == 7
    assert wave.due(0) == []
    fleet.step(first[0], "started")
    assert wave.due(0) == []
    fleet.step(first[0], "kept")
    assert len(wave.due(0)) == 1


@pytest.mark.parametrize("bad", [2, 5, 30, 100])
def test_it_stops_by_itself_at_two_percent(bad: int) -> None:
    wave = Wave(WISH, 100, at_once=20)
    fleet = Fleet(wave, 1000, {number for number in range(1000) if number % 100 < bad})
    asked = fleet.run()
    assert wave.stopped
    assert wave.over
    assert len(asked) < 1000
    assert len(wave.failures) * 100 >= 2 * len(asked)
    assert wave.due(0) == []


def test_one_of_many_does_not_stop_it() -> None:
    wave = Wave(WISH, 100, at_once=20)
    fleet = Fleet(wave, 1000)
    order = wave.chosen()
    fleet.bad = {int(order[200][-4:])}
    assert len(fleet.run()) == 1000
    assert not wave.stopped


def test_cameras_that_do_not_dock_hold_nobody_up() -> None:
    wave = Wave(WISH, 100, at_once=3)
    Fleet(wave, 10)
    assert len(wave.due(0)) == 3
    assert wave.due(1800) == []
    assert len(wave.due(1801)) == 3
    assert not wave.stopped


def test_who_falls_silent_on_trial_has_failed() -> None:
    wave = Wave(WISH, 100, at_once=1)
    fleet = Fleet(wave, 10)
    (name,) = wave.due(0)
    fleet.step(name, "started", 100)
    assert wave.due(100 + 1800) == []
    assert not wave.stopped
    assert wave.due(100 + 1801) == []
    assert wave.stopped
    assert wave.counts() == {"silent": 1}


def test_what_has_not_begun_is_taken_back() -> None:
    wave = Wave(WISH, 100, at_once=3)
    fleet = Fleet(wave, 10)
    asked = wave.due(0)
    fleet.step(asked[0], "started")
    fleet.step(asked[0], "failed")
    assert wave.stopped
    assert wave.to_withdraw() == asked[1:]


def test_a_refusal_is_no_failure() -> None:
    wave = Wave(WISH, 100, at_once=2)
    fleet = Fleet(wave, 4)
    first, second = wave.due(0)
    fleet.says(first, "reply", {"command": "update", "outcome": "refused", "reasons": ["docked?"]})
    fleet.step(second, "refused")
    assert not wave.stopped
    assert wave.counts()["refused"] == 2


def test_who_runs_it_already_or_has_no_slots_is_not_asked() -> None:
    wave = Wave(WISH, 100)
    fleet = Fleet(wave, 2)
    fleet.says("cam-0000", "state", {"software": software("1.1.0")})
    fleet.says("cam-9999", "state", {"software": None})
    assert wave.due(0) == ["cam-0001"]
    assert wave.asked == 1


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("bwv/v1/a/cam-1/state", b"{"),
        ("bwv/v1/a/cam-1/state", b"[]"),
        ("bwv/v1/a/cam-1/state", b'{"software":{"release":"x"}}'),
        ("bwv/v1/a/cam-1/state", b'{"software":{"release":7}}'),
        ("bwv/v1/a/cam-1/event", b'{"kind":"update","fields":7}'),
        ("bwv/v1/a/\x1b[2J/state", b'{"software":{"release":"1.0.0"}}'),
        ("bwv/v1/a", b"{}"),
        ("bwv/v1/a/cam-1/state", b'{"software":{"release":"1.0.0"}}' + b" " * 70_000),
    ],
)
def test_junk_changes_nothing(topic: str, payload: bytes) -> None:
    wave = Wave(WISH, 100)
    wave.feed(topic, payload, 0)
    assert wave.known == {}
    assert wave.outcome == {}
