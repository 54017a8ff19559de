"""A camera that answers no start any more: the vault ends in order, with a line that says why, and
only then the machine may be restarted."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.camera_bench import Camera, make_camera

from bwv_device.verification.vault_report import verify
from hal.ports import Opened, Stuck, Track
from sim.world.test_keys import BenchAgency


@pytest.fixture
def it(agency: BenchAgency) -> Camera:
    it = make_camera(agency)
    it.run(seconds=2)
    return it


def restarts(it: Camera, monkeypatch: pytest.MonkeyPatch, *, allowed: bool) -> list[str]:
    """Whoever runs the agent says whether the machine will be restarted."""
    heard: list[str] = []
    assert it.agent is not None

    def stuck(reason: str) -> bool:
        heard.append(reason)
        return allowed

    monkeypatch.setattr(it.agent.control._observer, "machine_stuck", stuck)
    return heard


def test_a_recording_ends_in_order_before_the_machine_is_restarted(
    it: Camera, agency: BenchAgency, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heard = restarts(it, monkeypatch, allowed=True)
    it.press_record_twice()
    it.run(seconds=5)
    assert it.agent is not None
    it.agent.parts.capture.stuck(Stuck(Track.VIDEO, "capture did not begin"))
    it.run(seconds=10)
    assert heard == ["capture did not begin"]
    (fault,) = [line for line in it.ledger("fault") if line.get("part") == "camera"]
    assert fault["reason"] == "answers no start: capture did not begin"
    last = it.ledger("state")[-1]
    assert last["to"] == "stopped"
    assert last["reason"] == "the camera answers no start: the machine is restarted"
    assert it.ledger()[-1]["kind"] == "stop"
    it.disk.dump(tmp_path / "vault")
    assert verify(tmp_path / "vault", [agency.root]).ok


@pytest.mark.parametrize("track", [Track.VIDEO, Track.AUDIO])
def test_else_it_goes_on(it: Camera, monkeypatch: pytest.MonkeyPatch, track: Track) -> None:
    """Restarting has not helped before; and sound is not worth it."""
    heard = restarts(it, monkeypatch, allowed=track is Track.AUDIO)
    assert it.agent is not None
    it.agent.parts.capture.stuck(Stuck(track, "capture did not begin"))
    it.run(seconds=5)
    assert len(heard) == (track is Track.VIDEO)
    assert it.agent.state.value == "ready"
    it.press_record_twice()
    it.run(seconds=3)
    assert it.agent.state.value == "recording"


def test_what_was_opened_stands_in_the_ledger_once(it: Camera) -> None:
    assert it.agent is not None
    opened = Opened(Track.VIDEO, ("camera imx708", "focus 0.4 dioptres"), ("HDR",))
    for _ in range(3):
        it.agent.parts.capture.opened(opened)
    it.agent.parts.capture.opened(opened._replace(missing=()))
    it.run(seconds=2)
    first, second = it.ledger("capture")
    assert (first["part"], first["opened"]) == ("camera", ["camera imx708", "focus 0.4 dioptres"])
    assert (first["missing"], second["missing"]) == (["HDR"], [])
