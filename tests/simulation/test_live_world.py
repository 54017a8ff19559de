"""The world behind the live panel: what is done by hand is kept and can be played again, and no
viewer, however many and however slow, changes anything.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.browser import Served
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from bwv_device.live_panel.page_process import PageProcess
from bwv_device.live_panel.recordings import Recordings
from bwv_device.settings import Settings
from bwv_device.verification.vault_report import survey
from bwv_device.web.listen import bind, url
from hal.ports import SECOND_NS, AccessUnit, Track
from hal.simulated.panel import OUTPUTS
from sim import faults
from sim.live.played import ByHand, Watched
from sim.live.vault_mirror import VaultMirror
from sim.live.web_panel import Inbox, WebPanel
from sim.scenario.language import ScenarioError
from sim.scenario.play import act, parse
from sim.scenario.stage import WAYS, Stage
from sim.shifts.drawn_shift import Shift, Simulation, bench_agency, trace_digest
from sim.world.world import World, stub_media

MS = 1_000_000
HANDS: tuple[tuple[int, dict[str, Any]], ...] = (
    (3000, {"act": "sentence", "text": "press record twice"}),
    (5000, {"act": "button", "button": "marker", "pressed": True}),
    (5120, {"act": "button", "button": "marker", "pressed": False}),
    (6000, {"act": "sentence", "text": "camera stalls"}),
    (8500, {"act": "sentence", "text": "camera delivers again"}),
    (9000, {"act": "sentence", "text": "fault slow-sync for 2 s"}),
    (9500, {"act": "sentence", "text": "power cut"}),
    (9800, {"act": "sentence", "text": "nonsense"}),
    (10_000, {"act": "sentence", "text": "boot"}),
    (12_000, {"act": "sentence", "text": "press record twice"}),
    (14_000, {"act": "sentence", "text": "hold record"}),
    (18_000, {"act": "sentence", "text": "dock"}),
    (32_000, {"act": "sentence", "text": "undock"}),
    (34_000, {"act": "sentence", "text": "switch off begins"}),
)


class Told:
    """A page that only keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[Mapping[str, Any]] = []
        self.pictures = 0

    def tell(self, content: Mapping[str, Any]) -> None:
        self.messages.append(dict(content))

    def show(self, units: list[AccessUnit]) -> None:
        self.pictures += len(units)

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        return [message for message in self.messages if message["kind"] == kind]


def stage() -> Stage:
    agency = bench_agency()
    base = Settings()
    settings = replace(
        base,
        video=replace(base.video, bitrate_kbps=400, fps=10),
        dock=replace(base.dock, store="bench", poll_ms=1000),
        mqtt=replace(base.mqtt, broker="bench"),
    )
    media = stub_media(400_000, 10)
    return Stage(
        World(settings, agency.device, agency.recipients, media=media, roots=[agency.root]), agency
    )


class Session:
    """A world that is moved by hand, by a clock that a test turns."""

    def __init__(self, folder: Path, page: Any) -> None:
        self.now_ns = 0
        self.stage = stage()
        self.played = ByHand(self.stage)
        self.inbox = Inbox()
        (folder / "vault").mkdir(parents=True)
        mirror = VaultMirror(self.stage.world.disk, folder / "vault")
        self.panel = WebPanel(self.played, page, self.inbox, mirror, folder, lambda: self.now_ns)
        self.played.do("boot")

    def play(self, until_ms: int = 38_000) -> None:
        hands = list(HANDS)
        while self.now_ns < until_ms * MS:
            self.now_ns += 20 * MS
            while hands and hands[0][0] * MS <= self.now_ns:
                self.inbox.put(hands.pop(0)[1])
            self.panel.turn(0)

    def digest(self) -> str:
        return trace_digest(self.stage.world, self.stage._witness)


@pytest.fixture
def session(tmp_path: Path) -> tuple[Session, Told]:
    told = Told()
    made = Session(tmp_path, told)
    made.play()
    return made, told


def test_the_page_hears_levels_lines_states_and_pictures(session: tuple[Session, Told]) -> None:
    made, told = session
    world = made.stage.world
    for output in OUTPUTS:
        levels = [(m["at_ms"], m["level"]) for m in told.of("level") if m["output"] == output]
        assert levels == [(s.at_ns // MS, s.level.value) for s in world.shown_so_far(output)]
    assert told.pictures > 100
    states = [m["state"] for m in told.of("status")]
    assert {"starting", "ready", "recording", "docked", "off"} <= set(states)
    lines = [m["line"] for m in told.of("line")]
    wanted = "boot open sync marker fault recovered receipt wipe stop"
    assert set(wanted.split()) <= set(lines)
    assert any("says nothing that is known" in m["text"] for m in told.of("event"))
    assert any(m.get("durable_bytes") for m in told.of("status"))


def test_what_was_done_by_hand_can_be_played_again(session: tuple[Session, Told]) -> None:
    """The same fingers at the same nanoseconds: the same states, lights and sounds."""
    made, _ = session
    scenario = parse(made.played.scenario().encode())
    again = stage()
    for sentence in scenario.sentences:
        assert sentence.at_ns is not None
        again.run_until(sentence.at_ns)
        act(again, sentence)
    again.run_until(made.stage.world.loop.now_ns())
    before, after = made.stage.world, again.world
    assert [tuple(t) for t in after.transitions] == [tuple(t) for t in before.transitions]
    for output in OUTPUTS:
        assert after.shown_so_far(output) == before.shown_so_far(output)
    assert list(after.disk.files()) == list(before.disk.files())


def test_twenty_viewers_and_one_that_sleeps_change_nothing(
    session: tuple[Session, Told], tmp_path: Path
) -> None:
    page, address = page_of(tmp_path, lambda table: None)
    live = address.replace("http", "ws") + "live"
    stack = contextlib.ExitStack()
    origin = Origin(address[:-1])
    viewers = [
        stack.enter_context(connect(live, origin=origin, close_timeout=0.5)) for _ in range(21)
    ]
    counts = [0] * 20

    def view(number: int) -> None:
        with contextlib.suppress(ConnectionClosed):
            for _ in viewers[number]:
                counts[number] += 1

    threads = [threading.Thread(target=view, args=(n,), daemon=True) for n in range(20)]
    for thread in threads:
        thread.start()
    watched = Session(tmp_path / "watched", page)
    watched.play()
    assert watched.digest() == session[0].digest()
    for _ in range(200):
        if min(counts) > 100:
            break
        threading.Event().wait(0.05)
    assert min(counts) > 100  # they did see it
    page.close()
    for thread in threads:
        thread.join(5)
    stack.close()


def test_a_page_that_dies_takes_nothing_along(
    session: tuple[Session, Told], tmp_path: Path
) -> None:
    listening = bind("127.0.0.1", 0, "")
    page = PageProcess(listening, {"folder": "", "vault": "", "controls": False}, lambda t: None)
    page._process.kill()
    page._process.wait()
    watched = Session(tmp_path / "watched", page)
    watched.play()
    assert watched.digest() == session[0].digest()
    page.close()


def test_a_planted_viewer_that_touches_the_world_is_seen(
    session: tuple[Session, Told], tmp_path: Path
) -> None:
    """The negative control of the two tests above."""

    class Meddler(Told):
        touch: Callable[[], None] = staticmethod(lambda: None)

        def tell(self, content: Mapping[str, Any]) -> None:
            if content["kind"] == "line" and content["line"] == "marker":
                self.touch()
            super().tell(content)

    meddler = Meddler()
    watched = Session(tmp_path / "watched", meddler)
    meddler.touch = lambda: watched.stage.world.happened("somebody meddled")
    watched.play()
    assert watched.digest() != session[0].digest()


@pytest.mark.parametrize("name", [kind.name for kind in faults.KINDS])
def test_each_fault_strikes_by_hand_and_passes(name: str) -> None:
    made = stage()
    made.boot()
    made.run_until(3 * SECOND_NS)
    made.strike(name)
    if name in WAYS:
        assert made.active == [name]
    made.run_until(5 * SECOND_NS)
    made.end_fault(name)
    assert made.active == []
    made.run_until(7 * SECOND_NS)
    made.boot()
    made.run_until(25 * SECOND_NS)
    assert made.state == "ready"
    assert made.crashes == []


def test_a_drawn_shift_can_be_watched_to_its_verdict_and_not_touched() -> None:
    duration_s = 240
    watched = Watched(Simulation(Shift(3, duration_s), lambda at_ns, text: None), 60 * SECOND_NS)
    watched._simulation.start()
    with pytest.raises(ScenarioError, match="can be watched"):
        watched.do("dock")
    for second in range(1, 70):
        watched.run_until(second * SECOND_NS)
    assert watched.about()["findings"] == []


@pytest.mark.parametrize(
    "text", ["expect x", "nonsense", "switch off", "power cut within the next append", "{}"]
)
def test_a_sentence_that_can_not_be_done_ends_nothing(tmp_path: Path, text: str) -> None:
    told = Told()
    made = Session(tmp_path, told)
    made.inbox.put({"act": "sentence", "text": "disk refuses everything with EIO"})
    made.inbox.put({"act": "sentence", "text": text})
    for _ in range(100):
        made.now_ns += 20 * MS
        made.panel.turn(0)
    assert len(told.of("event")) >= 2
    assert made.stage.world.loop.now_ns() == 2 * SECOND_NS
    assert text not in made.played.scenario()


def test_a_shift_that_is_over_lets_its_panel_go_on(tmp_path: Path) -> None:
    watched = Watched(Simulation(Shift(3, 240), lambda at_ns, text: None), 5 * SECOND_NS)
    (tmp_path / "vault").mkdir()
    told, now_ns = Told(), [0]
    mirror = VaultMirror(watched.world.disk, tmp_path / "vault")
    panel = WebPanel(watched, told, Inbox(), mirror, tmp_path, lambda: now_ns[0], 60)
    watched._simulation.start()
    for _ in range(50):
        now_ns[0] += 200 * MS
        panel.turn(0)
    assert told.of("status")[-1]["findings"] == []


def page_of(tmp_path: Path, hear: Callable[[dict[str, Any]], None]) -> tuple[PageProcess, str]:
    listening = bind("127.0.0.1", 0, "")
    about = {
        "title": "x", "mode": "virtual", "controls": True, "touchable": True, "verifies": False,
        "note": "", "switches": [], "rates": [1], "gestures": [], "pre_event_s": 30,
        "buttons": {"stop_hold_ms": 3000, "flag_hold_ms": 1000},
        "video": {"width": 320, "height": 240}, "folder": str(tmp_path), "vault": "",
    }  # fmt: skip
    address = url(listening)
    return PageProcess(listening, about, hear), address


def test_a_browser_that_reads_nothing_holds_no_button(tmp_path: Path) -> None:
    heard: queue.Queue[dict[str, Any]] = queue.Queue()
    page, address = page_of(tmp_path, heard.put)
    live = address.replace("http", "ws") + "live"
    with connect(live, origin=Origin(address[:-1]), max_queue=1, close_timeout=0.1) as silent:
        silent.send('{"act": "button", "button": "record", "pressed": true}')
        assert heard.get(timeout=10)["pressed"] is True
        for number in range(40_000):
            page.tell({"kind": "event", "text": f"{number} " + "x" * 2000})
            if not heard.empty():
                break
            if number % 500 == 0:
                threading.Event().wait(0.02)
        assert heard.get(timeout=20) == {"act": "button", "button": "record", "pressed": False}
    page.close()


def test_a_page_that_stands_still_costs_pictures_never_levels(tmp_path: Path) -> None:
    page, address = page_of(tmp_path, lambda table: None)
    with connect(address.replace("http", "ws") + "live", origin=Origin(address[:-1])) as viewer:
        json.loads(viewer.recv())
        os.kill(page.pid, signal.SIGSTOP)
        for size in (500_000, 5_000, 50):  # to the last byte that pictures may take
            for _ in range(200):
                page.show([AccessUnit(Track.VIDEO, 0, 1, True, bytes(size))])
        assert page.left_out > 20
        left_out = page.left_out
        page.tell({"kind": "level", "output": "front light", "level": "off", "pattern": "dark"})
        assert page.left_out == left_out
        os.kill(page.pid, signal.SIGCONT)
        while True:
            item = viewer.recv(timeout=20)
            if isinstance(item, str) and json.loads(item)["kind"] == "level":
                break
    page.close()


def test_a_vault_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stage()
    made.boot()
    made.run_until(3 * SECOND_NS)
    made.world.disk.dump(tmp_path / "vault")
    tries: list[Path] = []

    def once_gone(vault: Path, roots: Any) -> Any:
        tries.append(vault)
        if len(tries) == 1:
            raise FileNotFoundError("00000001-0001-0001.mp4.age.part")
        return survey(vault, roots)

    monkeypatch.setattr("bwv_device.live_panel.recordings.survey", once_gone)
    (tmp_path / "films").mkdir()
    recordings = Recordings(
        tmp_path / "vault", tmp_path / "films", [made.agency.root], made.agency.identities
    )
    assert recordings.look()["conclusion"] == "not_closed"
    assert len(tries) == 2


# --- sockets -----------------------------------------------------------------------------------


def listeners(pids: list[int]) -> Iterator[str]:
    """Local addresses on which these processes listen."""
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(descriptor.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            listens = fields[3] == "0A" if table.startswith("tcp") else True
            if listens and fields[9] in inodes:
                host, port = fields[1].split(":")
                yield f"{socket.inet_ntoa(bytes.fromhex(host)[::-1])}:{int(port, 16)}"


@pytest.mark.parametrize("page", [False, True])
def test_nothing_listens_on_a_camera_but_the_page_that_was_asked_for(
    tmp_path: Path, page: bool
) -> None:
    made = bench_agency().files
    (tmp_path / "keys").mkdir()
    for name, data in made.items():
        (tmp_path / "keys" / name).write_bytes(data)
        (tmp_path / "keys" / name).chmod(0o600)
    (tmp_path / "config.toml").write_text(
        "[video]\nwidth = 320\nheight = 240\nfps = 5\nbitrate_kbps = 200\n"
        '[sealing]\nrecipient_type = "X25519"\n'
    )
    command = ["bwv_device", "run", "--board", "sim", "--config", "config.toml", "--seconds", "60"]
    until = "The camera's page: (http\\S+)" if page else "(starting → ready)"
    asked = ["--panel", "127.0.0.1:0"] if page else []
    camera = Served([*command, *asked], tmp_path, until)
    found = list(listeners([camera.process.pid, *camera.descendants()]))
    said = camera.end()
    assert "Traceback" not in said
    if page:
        host, port = camera.url.removeprefix("http://").rstrip("/").split(":")
        assert found == [f"{host}:{port}"]
    else:
        assert found == []
