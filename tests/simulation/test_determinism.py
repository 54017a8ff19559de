"""The same inputs give the same vault: in virtual and in real time, under any hash seed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from support.camera_bench import digest, make_camera

from bwv_device.backends.realtime_loop import RealLoop
from bwv_device.camera.agent import Agent
from bwv_device.camera.agent_observer import Unobserved
from bwv_device.camera.state_table import Event, State
from bwv_device.formats.age_payload import Opener
from bwv_device.formats.media.mp4_film import read_film
from bwv_device.settings import Recording, Settings
from bwv_device.verification.export import export
from bwv_device.verification.vault_report import survey, verify
from hal.host import HostClock
from hal.panel.gpio_panel import PanelPins
from hal.ports import Board, Track
from hal.simulated.board import on_panel
from hal.simulated.capture import SimulatedCamera, SimulatedMicrophone, StubAudio, StubVideo
from hal.simulated.clock import SimulatedClock
from hal.simulated.disk import SimulatedDisk
from hal.simulated.panel import SimulatedPanel
from hal.simulated.power_dock_and_place import (
    SeededEntropy,
    SimulatedDock,
    SimulatedLocation,
    SimulatedPower,
    SimulatedSpeaker,
    SimulatedVitals,
    StubStills,
)
from hal.simulated.store import SimulatedUplink
from hal.unconnected import NoMqtt, NoOutbox, NoSlots
from sim.live.replay import RecordingLoop, ReplayLoop, Trace, recording_board, replay_board
from sim.oracle.signed_groups import without_statements
from sim.world.test_keys import BenchAgency
from sim.world.virtual_loop import VirtualLoop
from sim.world.world import stub_media

MS = 1_000_000
SETTINGS = replace(Settings(), recording=Recording(pre_event_s=1, segment_s=10))

SHIFT = """
import sys
sys.path.insert(0, sys.argv[1])
from support.camera_bench import digest, make_camera
from sim.world.test_keys import BenchAgency
it = make_camera(BenchAgency(), recording={"pre_event_s": 5}, seed="42")
it.run(seconds=8)
it.press_record_twice()
it.run(seconds=12)
it.press_marker(times=2)
it.run(seconds=3)
it.hold_record()
it.run(seconds=2)
it.shut_down()
print(digest(it.disk))
"""


def test_two_hash_seeds_give_one_digest() -> None:
    tests = str(Path(__file__).parents[1])
    digests = {
        subprocess.run(
            [sys.executable, "-c", SHIFT, tests],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "random")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64


def test_another_seed_gives_another_digest(agency: BenchAgency) -> None:
    digests = set()
    for seed in ("1", "2"):
        it = make_camera(agency, seed=seed)
        it.run(seconds=1)
        it.shut_down()
        digests.add(digest(it.disk))
    assert len(digests) == 2


def test_the_default_profile_gives_the_same_content(tmp_path: Path) -> None:
    """HPKE draws its own entropy: the sealed bytes differ, what is inside must not."""
    agency = BenchAgency(recipient_type="mlkem768x25519")
    sealed, opened = [], []
    for _ in range(2):
        it = make_camera(agency, recording={"pre_event_s": 2}, seed="7")
        it.run(seconds=4)
        it.press_record_twice()
        it.run(seconds=6)
        it.hold_record()
        it.run(seconds=1)
        it.shut_down()
        files = [data for path, data in it.disk.files() if path.endswith(".age")]
        sealed.append(files)
        opened.append([b"".join(Opener(io.BytesIO(d), agency.identities).chunks()) for d in files])
    assert sealed[0] != sealed[1]
    assert opened[0] == opened[1]
    assert len(opened[0][0]) > 1_000_000


def board(scheduler: RealLoop | VirtualLoop, disk: SimulatedDisk, agency: BenchAgency) -> Board:
    """A simulated board on any scheduler."""
    panel = SimulatedPanel(PanelPins(**SETTINGS.as_dict()["pins"]), scheduler)
    board.panel = panel
    return on_panel(
        panel.panel,
        clock=SimulatedClock(scheduler, 10**18),
        entropy=SeededEntropy("replay"),
        disk=disk,
        camera=SimulatedCamera(scheduler, StubVideo(30, 800_000), 250 * MS),
        microphone=SimulatedMicrophone(scheduler, StubAudio(), 250 * MS),
        stills=StubStills(),
        speaker=SimulatedSpeaker(),
        power=SimulatedPower(scheduler),
        dock=SimulatedDock(),
        location=SimulatedLocation(),
        identity=agency.device,
        uplink=SimulatedUplink(),
        mqtt=NoMqtt(),
        outbox=NoOutbox(),
        vitals=SimulatedVitals(),
        slots=NoSlots(),
    )


class States(Unobserved):
    """Keeps the states' names; says when the agent has ended."""

    def __init__(self, states: list[str], ended: Callable[[], None]) -> None:
        self._states, self._ended = states, ended

    def transition(self, before: State, event: Event, after: State) -> None:
        self._states.append(after.value)

    def stopped(self) -> None:
        self._ended()


class RealRun:
    """Ten real seconds: press, mark, snapshot, stop; everything that came is recorded."""

    def __init__(self, agency: BenchAgency) -> None:
        self.trace, self.disk = Trace(), SimulatedDisk()
        self.states: list[str] = []
        inner, panel_loop = RealLoop(HostClock()), RealLoop(HostClock())
        loop = RecordingLoop(inner, self.trace)
        bare = board(panel_loop, self.disk, agency)
        panel = board.panel
        tapped = recording_board(bare, loop, self.trace)
        self.agent = Agent(
            tapped, loop, SETTINGS, agency.recipients, observer=States(self.states, inner.stop)
        )
        threading.Thread(target=panel_loop.run, daemon=True).start()
        now_ns = panel_loop.now_ns()
        hands = [
            *((2000, "record", True), (2080, "record", False)),
            *((2200, "record", True), (2280, "record", False)),
            *((3500, "marker", True), (3600, "marker", False)),
            *((5000, "record", True), (8200, "record", False)),
        ]
        for at_ms, button, down in hands:
            act = panel.press if down else panel.release
            panel_loop.call_at(now_ns + at_ms * MS, lambda act=act, button=button: act(button))
        loop.post(self.agent.start)
        loop.call_at(inner.now_ns() + 9500 * MS, self.agent.stop)
        inner.run()
        panel_loop.stop()


def test_a_recorded_run_gives_the_same_vault_in_virtual_time(
    agency: BenchAgency, tmp_path: Path
) -> None:
    real = RealRun(agency)
    assert real.states == ["ready", "recording", "post-event", "ready", "stopped"]
    assert len(real.trace.steps) > 100

    disk = SimulatedDisk()
    loop = ReplayLoop(real.trace)
    again = board(VirtualLoop(), disk, agency)
    states: list[str] = []
    observer = States(states, lambda: None)
    replayed = replay_board(again, loop, real.trace)
    agent = Agent(replayed, loop, SETTINGS, agency.recipients, observer=observer)
    loop.post(agent.start)
    loop.call_at(0, agent.stop)
    loop.run()

    assert states == real.states
    assert digest(disk) == digest(real.disk)

    disk.dump(tmp_path / "vault")
    report = verify(tmp_path / "vault", [agency.root])
    assert report.complete, report
    assert [v.status.value for v in report.segments] == ["sealed"]


def test_running_free_both_loops_record_the_same_media(agency: BenchAgency, tmp_path: Path) -> None:
    """No trace: the same presses at the same moments, in real and in virtual time."""
    real = RealRun(agency)
    virtual = make_camera(agency, settings=SETTINGS, media=stub_media(800_000))
    virtual.run(seconds=2)
    virtual.press("record", times=2)
    virtual.run(seconds=1)
    virtual.press("marker")
    virtual.run(seconds=1.5)
    virtual.press("record", held_ms=3200)
    virtual.run(seconds=2)
    states = [transition.after.value for transition in virtual.transitions]
    virtual.shut_down()

    assert [*states, "stopped"] == real.states
    films = {}
    for name, disk in (("real", real.disk), ("virtual", virtual.disk)):
        disk.dump(tmp_path / name / "vault")
        surveyed = survey(tmp_path / name / "vault", [agency.root])
        report, (film, *_), _ = export(surveyed, agency.identities, tmp_path / name)
        assert report.complete
        films[name] = pictures(film.path.read_bytes())
    for numbers in films.values():
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        assert numbers[0] % 30 == 0
    # The scene's seconds lie elsewhere under the press, so up to one group of pictures differs.
    assert abs(len(films["real"]) - len(films["virtual"])) <= 30


def pictures(data: bytes) -> list[int]:
    """Their numbers, each checked against what the camera gives under that number."""
    source, numbers = StubVideo(30, 800_000), []
    for unit in read_film(data):
        if unit.track is Track.VIDEO:
            picture = without_statements(unit.data)[1]
            number = StubVideo.number_of(picture)
            assert source.gop(number // 30)[number % 30].endswith(picture[4:])
            numbers.append(number)
    return numbers
