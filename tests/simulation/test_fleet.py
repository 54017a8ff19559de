"""The desk: what it makes of what cameras say, and what it believes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console
from support.camera_bench import Camera, make_camera
from support.signed_commands import TOPIC, fields, person, signed

from bwv_device.commands.verify import command as verify_command
from bwv_device.custody import camera_register
from bwv_device.errors import CustodyError, VaultError
from bwv_device.fleet import roster as rosters
from bwv_device.fleet import watch_table
from bwv_device.fleet.kept_heads import Records
from bwv_device.fleet.roster import CONSISTENT, FORKED, UNSIGNED, Roster, Seen
from bwv_device.keys import load_certificates
from bwv_device.verification.second_verifier import Judge, head_of
from bwv_device.verification.signed_heads import all_recorded, count_recorded, parse_head, recorded
from hal.ports import SECOND_NS
from hal.simulated.disk import TEARS, SimulatedDisk
from sim.world.custody_workers import BenchCustody
from sim.world.test_keys import BenchAgency

PREFIX = "bwv/v1/example-agency/bench-camera-1"
DOCK = {"store": "bench", "poll_ms": 500, "greeting_wait_s": 5, "resend_s": 20}
Make = Callable[..., Camera]


@pytest.fixture
def it(camera: Make) -> Camera:
    made = camera(mqtt={"broker": "bench"})
    made.run(seconds=3)
    return made


class Watch:
    """A desk that hears everything a simulated broker carries."""

    def __init__(self, it: Camera, roots: list[Any] | None = None) -> None:
        self.forks: list[str] = []
        known = [it.agency.root] if roots is None else roots
        self.roster = Roster(known, lambda seen: self.forks.append(str(seen.fork)))
        self.it = it
        for message in it.broker.messages:
            self.roster.feed(message.topic, message.payload, message.at_ns)
        it.broker.on_published = lambda m: self.roster.feed(m.topic, m.payload, m.at_ns)

    @property
    def seen(self) -> Seen:
        return self.roster.cameras["bench-camera-1"]

    def row(self) -> dict[str, Any]:
        return watch_table.row(self.seen, self.it.loop.now_ns())


def record(it: Camera, seconds: float = 4) -> None:
    it.press_record_twice()
    it.run(seconds=seconds)
    it.hold_record()
    it.run(seconds=3)


# --- honest cameras ----------------------------------------------------------------------------


def test_a_shift_with_cuts_and_boots_is_consistent(it: Camera) -> None:
    watch = Watch(it)
    for tear in TEARS:
        it.press_record_twice()
        it.run(seconds=12)
        it.power_cut(tear)
        it.run(seconds=3)
        it.boot()
        it.run(seconds=15)
    row = watch.row()
    assert (row["ledger"], row["online"], row["events_missing"]) == (CONSISTENT, True, 0)
    assert row["head"]["boot"] == 1 + len(TEARS)
    assert row["battery_percent"] >= 99
    assert watch_table.troubles(row) == []


def test_offline_is_seen_and_an_old_will_is_not_believed(it: Camera) -> None:
    watch = Watch(it)
    it.broker.take_over()
    it.run(seconds=30)
    assert watch.row()["online"] is True
    it.shut_down()
    assert watch.row()["online"] is False
    assert "offline" in watch_table.troubles(watch.row())


def test_a_camera_that_speaks_is_there_whatever_a_will_says(it: Camera) -> None:
    """A desk that starts now sees the retained messages alone, the late will among them."""
    it.run(seconds=10)
    it.broker.cut()
    it.run(seconds=20)
    late = Roster([it.agency.root])
    will = json.dumps({"online": False, "boot": 1, "session": 1}).encode()
    for topic, payload in it.broker.retained.items():
        late.feed(topic, will if topic.endswith("presence") else payload, 0)
    assert late.cameras["bench-camera-1"].online is True


def test_troubles_come_first(it: Camera) -> None:
    watch = Watch(it)
    it.disk.latency_ns = lambda operation: 8 * SECOND_NS
    it.press_record_twice()
    it.run(seconds=14)
    bad = watch.row()
    assert "not stored" in watch_table.troubles(bad)
    good = {**bad, "device": "a-camera", "stored": True}
    ordered = watch_table.chosen([good, bad], [], "trouble")
    assert [row["device"] for row in ordered] == ["bench-camera-1", "a-camera"]
    assert watch_table.chosen([good, bad], ["trouble"], "device") == [bad]
    assert watch_table.chosen([good, bad], ["recording"], "device", "a-cam") == [good]


def test_the_table_is_drawn(it: Camera) -> None:
    watch = Watch(it)
    it.press_record_twice()
    it.run(seconds=12)
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(watch_table.render([watch.row()], 10, "1 camera"))
    text = console.export_text()
    assert "bench-camera-1" in text
    assert "● recording" in text
    assert CONSISTENT in text


def test_at_80_columns_no_name_date_or_trouble_is_cut(it: Camera) -> None:
    watch = Watch(it)
    it.press_record_twice()
    it.run(seconds=12)
    row = {**watch.row(), "device": "camera-of-the-north-division-0042", "undelivered_files": 12,
           "undelivered_oldest_utc_ms": 1_772_438_400_000, "events_missing": 3}  # fmt: skip
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(watch_table.render([row], 10, "1 camera", console.width))
    text = console.export_text()
    assert "…" not in text
    cells = [line.split("│")[1:-1] for line in text.splitlines() if line.startswith("│")]
    camera, _, left, _, trouble = (
        " ".join(c.strip() for c in column) for column in zip(*cells, strict=True)
    )
    assert camera.replace(" ", "") == row["device"]
    assert "12 since 03-02 08:00 to deliver" in left
    assert "3 events missing" in trouble


# --- what is not believed ----------------------------------------------------------------------


def state(it: Camera) -> dict[str, Any]:
    return dict(json.loads(it.broker.retained[f"{PREFIX}/state"]))


def feed(watch: Watch, said: dict[str, Any], leaf: str = "state") -> None:
    watch.roster.feed(f"{PREFIX}/{leaf}", json.dumps(said).encode(), 0)


def test_heads_that_a_broker_invents_count_for_nothing(it: Camera) -> None:
    watch = Watch(it)
    said = state(it)
    said["number"] += 1
    said["head"] = {**said["head"], "number": 10**6, "digest": "0" * 64}
    feed(watch, said)
    assert watch.seen.ledger == CONSISTENT
    assert watch.seen.head["number"] < 10**6


@pytest.mark.parametrize("value", [None, 7, "x", [], {}, {"boot": 1}, {"signature": "zz"}])
def test_heads_that_are_none(it: Camera, value: Any) -> None:
    watch = Watch(it)
    said = {**state(it), "head": value}
    said["number"] += 1
    feed(watch, said)
    assert watch.seen.ledger == CONSISTENT


def test_without_a_certificate_of_this_agency_nothing_is_consistent(it: Camera) -> None:
    stranger = Watch(it, [BenchAgency("another").root])
    assert stranger.seen.ledger == UNSIGNED
    assert stranger.roster.rejected == {"another agency's certificate": 1}


def test_a_copied_camera_forks(it: Camera, agency: BenchAgency) -> None:
    """Two live cameras with one key and one card: each ledger is well signed."""
    it.shut_down()
    image = dict(it.disk.files())
    it.boot()
    it.run(seconds=3)
    watch = Watch(it)
    twin = make_camera(agency, mqtt={"broker": "bench"}, disk=card(image), boot=False, seed="twin")
    twin.broker.on_published = lambda m: watch.roster.feed(m.topic, m.payload, m.at_ns)
    twin.boot()
    record(twin)
    twin.run(seconds=12)
    assert watch.seen.ledger == FORKED
    assert len(watch.forks) == 1
    assert "ledger forked" in watch_table.troubles(watch.row())
    record(it)
    it.run(seconds=12)
    assert watch.seen.ledger == FORKED  # what was signed can't be unsaid


def card(files: dict[str, bytes]) -> SimulatedDisk:
    disk = SimulatedDisk()
    for path, content in files.items():
        disk.create(path)
        disk.append(path, content)
        disk.sync(path)
    for folder in {path.partition("/")[0] for path in files} | {""}:
        disk.sync(folder)
    return disk


@pytest.mark.parametrize("how", ["boot", "number"])
def test_a_card_that_was_set_back_forks(it: Camera, agency: BenchAgency, how: str) -> None:
    """The officer restores an old image: the camera repeats a boot, or boots with too few lines."""
    it.shut_down()
    image = dict(it.disk.files())
    it.boot()
    record(it, 20)
    it.run(seconds=12)
    watch = Watch(it)
    it.vanish()
    back = make_camera(agency, mqtt={"broker": "bench"}, disk=card(image), boot=False, seed="back")
    back.broker.on_published = lambda m: watch.roster.feed(m.topic, m.payload, m.at_ns)
    back.boot()
    back.run(seconds=3)
    if how == "boot":
        back.shut_down()
        back.boot()
    record(back)
    back.run(seconds=12)
    assert watch.seen.ledger == FORKED


def test_duplicates_are_counted_and_holes_are_seen(it: Camera) -> None:
    watch = Watch(it)
    record(it)
    sent = [m for m in it.broker.messages if m.topic.endswith("/event")]
    for message in sent:
        watch.roster.feed(message.topic, message.payload, 0)
    assert watch.row()["duplicates"] == len(sent)
    said = json.loads(sent[-1].payload)
    feed(watch, {**said, "number": said["number"] + 3}, "event")
    assert watch.row()["events_missing"] == 2
    assert "2 events missing" in watch_table.troubles(watch.row())


JUNK = [b"", b"null", b"[]", b"7", b'"x"', b"{}", b'{"boot":"x","number":1}', b"\xff\xfe",
        b'{"online":1}', b"[" * 60_000, b"x" * 70_000, b'{"boot":1e400,"number":1}',
        b'{"boot":NaN,"number":1}', b'{"boot":1,"number":1,"head":[1]}']  # fmt: skip


@pytest.mark.parametrize("leaf", ["state", "presence", "health", "event", "reply", "identity", "x"])
def test_junk_ends_nothing(it: Camera, leaf: str) -> None:
    watch = Watch(it)
    for junk in JUNK:
        watch.roster.feed(f"{PREFIX}/{leaf}", junk, 0)
        watch.roster.feed(f"bwv/v1/a/{leaf}", junk, 0)
    shown = {"state": "\x1b[2J" * 50, "officer": "a\nb", "light": {"front": "x", "status": "y",
             "failed": ["\x07"]}}  # fmt: skip
    undelivered = {"files": 1, "oldest": "x", "oldest_utc_ms": 2**62}
    said = {**state(it), **shown, "undelivered": undelivered}
    said["number"] += 1
    feed(watch, said)
    row = watch.row()
    assert "\x1b" not in json.dumps(row)
    watch_table.render([row], 10, "")
    it.run(seconds=20)
    assert watch.seen.ledger == CONSISTENT


def test_memory_of_a_camera_is_bounded(it: Camera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rosters, "REMEMBERED", 20)
    watch = Watch(it)
    it.press_record_twice()
    for _ in range(60):
        it.run(seconds=3)
        it.press_marker()
    assert len(watch.seen.digests) <= 20
    assert len(watch.seen.heads) <= 20


# --- heads against ledgers ---------------------------------------------------------------------


def test_recorded_heads_survive_a_restart_and_are_checked_again(it: Camera, tmp_path: Path) -> None:
    watch, records = Watch(it), Records(tmp_path, every_ns=0)
    it.run(seconds=20)
    records.keep(watch.seen, 1)
    said = recorded(tmp_path, "bench-camera-1", [it.agency.root])
    assert said is not None
    assert said.anchor.number == watch.seen.head["number"]
    assert recorded(tmp_path, "bench-camera-2", [it.agency.root]) is None
    again = Roster([it.agency.root])
    for kept in Records(tmp_path).all():
        again.recall(**kept)
    assert again.cameras["bench-camera-1"].ledger == CONSISTENT
    path = tmp_path / "bench-camera-1.json"
    kept = json.loads(path.read_text())
    kept["head"]["number"] += 1
    path.write_text(json.dumps(kept))
    with pytest.raises(ValueError, match="not signed by that camera"):
        recorded(tmp_path, "bench-camera-1", [it.agency.root])
    path.write_text("{")
    with pytest.raises(ValueError, match="Expecting"):
        recorded(tmp_path, "bench-camera-1", [it.agency.root])


@pytest.mark.parametrize("watched", [True, False])
def test_a_cut_ledger_is_refused_at_the_dock_only_where_somebody_watched(
    agency: BenchAgency, tmp_path: Path, watched: bool
) -> None:
    """The end of a ledger, cut off before it was ever docked, can be seen nowhere else."""
    keywords: dict[str, Any] = {
        "mqtt": {"broker": "bench"}, "dock": DOCK, "video": {"bitrate_kbps": 200},
        "recording": {"segment_s": 10, "pre_event_s": 0},
    }  # fmt: skip
    it = make_camera(agency, **keywords)
    it.run(seconds=3)
    record(it)
    it.shut_down()
    image = dict(it.disk.files())
    it.boot()
    it.run(seconds=3)
    watch, records = Watch(it), Records(tmp_path, every_ns=0)
    record(it)  # what somebody would like to be gone
    it.run(seconds=12)
    records.keep(watch.seen, 1)
    now_ns = it.loop.now_ns()
    it.vanish()
    back = make_camera(agency, disk=card(image), boot=False, seed="back", **keywords)
    back.loop.run_until(now_ns + 60 * SECOND_NS)
    custody = BenchCustody(back, agency, heads=tmp_path if watched else None)
    custody.start()
    for _ in range(2):
        back.boot()
        back.run(seconds=3)
        back.shut_down()
    back.boot()
    back.run(seconds=2)
    back.put_in_dock(True)
    back.run(seconds=40)
    refused = [reason for done in custody.done for reason in done.refused]
    if watched:
        assert refused
        assert "anchor" in refused[0] or "over MQTT" in refused[0]
        assert back.disk.names("footage") != []  # kept: nothing is receipted
    else:
        assert refused == []
        assert back.disk.names("footage") == []


@pytest.mark.parametrize("watched_on", [True, False])
def test_a_rolled_back_ledger_that_grew_longer_is_refused_until_a_person_decides(
    agency: BenchAgency, tmp_path: Path, *, watched_on: bool
) -> None:
    """The same boot's number once more, and more lines than the watch ever heard of: what it heard
    must be in them, also where the newer branch was heard since."""
    keywords: Any = {
        "mqtt": {"broker": "bench", "state_s": 1}, "dock": DOCK, "video": {"bitrate_kbps": 200},
        "recording": {"segment_s": 10, "pre_event_s": 0},
    }  # fmt: skip
    it = make_camera(agency, **keywords)
    record(it)
    it.shut_down()
    image = dict(it.disk.files())
    it.boot()
    it.run(seconds=3)
    watch, records = Watch(it), Records(tmp_path, every_ns=0)
    record(it)  # what somebody would like to be gone
    it.run(seconds=12)
    records.keep(watch.seen, 1)
    gone = watch.seen.head["number"]
    now_ns = it.loop.now_ns()
    it.vanish()
    back = make_camera(agency, disk=card(image), boot=False, seed="back", **keywords)
    back.loop.run_until(now_ns + 60 * SECOND_NS)
    custody = BenchCustody(back, agency, heads=tmp_path)
    custody.start()
    back.boot()
    later = Watch(back)
    for _ in range(4):
        record(back)
        back.run(seconds=12)
    if watched_on:
        records.keep(later.seen, 2)
        kept = json.loads((tmp_path / "bench-camera-1.json").read_text())
        assert kept["head"]["number"] > gone, "the newest is of the other branch"
        (tmp_path / "bench-camera-1.forked.json").write_text("proof")
    back.put_in_dock(True)
    back.run(seconds=40)
    refused = [reason for done in custody.done for reason in done.refused]
    assert refused
    assert ("a person must decide" if watched_on else "anchor") in refused[0]
    assert back.disk.names("footage") != [], "nothing is receipted"
    ada = custody.session("Ada", "custodian")
    ada.append(lambda: ("issue", {"device": "bench-camera-1", "officer": "PC 1", "version": 1}))
    camera_register.settle_fork(ada, "bench-camera-1", tmp_path, "its card was copied: looked at")
    with pytest.raises(CustodyError, match="nothing to settle"):
        camera_register.settle_fork(ada, "bench-camera-1", tmp_path, "again")
    back.put_in_dock(False)
    back.run(seconds=5)
    back.put_in_dock(True)
    back.run(seconds=60)
    assert back.disk.names("footage") == [], "a person decided"


def test_a_line_of_kept_heads_that_a_power_cut_tore_is_passed_over(
    it: Camera, tmp_path: Path
) -> None:
    watch, records = Watch(it), Records(tmp_path, every_ns=0)
    it.run(seconds=20)
    records.keep(watch.seen, 1)
    path = tmp_path / "bench-camera-1.heads"
    path.write_bytes(path.read_bytes() + path.read_bytes()[:40])
    record(it)
    it.run(seconds=20)
    Records(tmp_path, every_ns=0).keep(watch.seen, 2)
    assert len(path.read_bytes().splitlines()) == 3
    heads = all_recorded(tmp_path, "bench-camera-1", [it.agency.root], 0)
    assert len(heads) == count_recorded(tmp_path, "bench-camera-1") == 2
    assert all_recorded(tmp_path, "bench-camera-1", [it.agency.root], 0, skip=1) == heads[1:]


def test_an_honest_camera_is_never_refused_for_what_it_says_while_docked(
    agency: BenchAgency, tmp_path: Path
) -> None:
    it = make_camera(
        agency,
        mqtt={"broker": "bench", "state_s": 1},
        dock=DOCK,
        video={"bitrate_kbps": 200},
        recording={"segment_s": 10, "pre_event_s": 0},
    )
    it.run(seconds=3)
    custody = BenchCustody(it, agency, heads=tmp_path)
    custody.start()
    watch, records = Watch(it), Records(tmp_path, every_ns=0)

    def heard(message: Any) -> None:
        if watch.roster.feed(message.topic, message.payload, message.at_ns):
            records.keep(watch.seen, message.at_ns)

    it.broker.on_published = heard
    for tear in (None, TEARS[0], TEARS[-1]):
        record(it)
        it.put_in_dock(True)
        it.run(seconds=40)
        assert it.disk.names("footage") == []
        it.put_in_dock(False)
        it.run(seconds=5)
        if tear is None:
            it.shut_down()
        else:
            it.press_record_twice()
            it.run(seconds=7)
            it.power_cut(tear)
        it.boot()
        it.run(seconds=3)
    assert [reason for done in custody.done for reason in done.refused] == []
    assert watch.seen.ledger == CONSISTENT


def desk_lines(custody: BenchCustody, kind: str) -> list[dict[str, Any]]:
    desk = custody.session("Ann", "auditor")
    desk.index.catch_up()
    return list(desk.index.lines("kind = ?", kind))


def test_a_hold_over_mqtt_becomes_a_hold_in_custody(agency: BenchAgency) -> None:
    """Also of a recording that was announced at an earlier docking."""
    it = make_camera(
        agency,
        mqtt={"broker": "bench"},
        dock=DOCK,
        video={"bitrate_kbps": 200},
        recording={"segment_s": 10, "pre_event_s": 0},
    )
    it.run(seconds=3)
    custody = BenchCustody(it, agency)
    custody.start()
    record(it)
    record(it)
    for number in range(3):  # announced, and taken off the dock before anything was delivered
        it.put_in_dock(True)
        for _ in range(80):
            it.run(seconds=0.1)
            if len(desk_lines(custody, "docking")) > number:
                break
        it.put_in_dock(False)
        it.shut_down()
        it.boot()
        it.run(seconds=3)
    assert it.disk.names("footage")
    hold = fields(1, "hold", arguments={"recording": "00000001-0002"})
    it.broker.send(TOPIC, signed(person(agency), hold))
    it.run(seconds=2)
    it.put_in_dock(True)
    it.run(seconds=40)
    assert it.disk.names("footage") == []
    assert desk_lines(custody, "docking")[-1]["flagged"] == ["00000001-0002"]
    desk = custody.session("Ada", "custodian")
    desk.index.catch_up()
    held = desk.index.rows("SELECT recording, reason FROM holds WHERE released IS NULL")
    assert [row["recording"] for row in held] == ["bench-camera-1/00000001-0002"]


def test_a_docking_that_is_judged_late_is_not_held_against_what_was_said_since(
    agency: BenchAgency, tmp_path: Path
) -> None:
    """Intake was away; the camera went on, and the watch was started anew meanwhile."""
    it = make_camera(
        agency,
        mqtt={"broker": "bench", "state_s": 1},
        dock=DOCK,
        video={"bitrate_kbps": 200},
        recording={"segment_s": 10, "pre_event_s": 0},
    )
    it.run(seconds=3)
    custody = BenchCustody(it, agency, heads=tmp_path)
    custody.working = False
    custody.start()
    record(it)
    it.put_in_dock(True)
    it.run(seconds=20)
    it.put_in_dock(False)
    it.run(seconds=5)
    for _ in range(2):
        it.shut_down()
        it.boot()
        it.run(seconds=5)
    for _ in range(2):  # the watch, and the next one
        watch, records = Watch(it), Records(tmp_path, every_ns=0)
        for kept in records.all():
            watch.roster.recall(**kept)
        records.keep(watch.seen, 1)
    custody.working = True
    it.run(seconds=10)
    it.put_in_dock(True)
    it.run(seconds=60)
    assert [reason for done in custody.done for reason in done.refused] == []
    assert it.disk.names("footage") == []


@pytest.mark.parametrize("field", ["error_ms", "utc_ms", "command_counter", "number"])
def test_numbers_without_end_are_no_message(it: Camera, field: str) -> None:
    watch = Watch(it)
    feed(watch, {**state(it), field: 10**400})
    assert watch.roster.rejected == {"malformed": 1}
    watch_table.render([watch.row()], 1, "")


def test_invented_cameras_cost_little(it: Camera) -> None:
    watch = Watch(it)
    for number in range(50):
        said = {"boot": 1, "number": number, "kind": "x"}
        watch.roster.feed("bwv/v1/a/nobody/event", json.dumps(said).encode(), 0)
    assert len(watch.roster.cameras["nobody"].digests) <= rosters.UNVERIFIED


# --- heads that left the camera, given to the verifiers ------------------------------------------


def judged(vault: Path, root: Path, head: str) -> tuple[int, str, str]:
    """Exit code and words of `bwv verify --anchor`, and the second verifier's word."""
    done = CliRunner().invoke(verify_command, [str(vault), "--root", str(root), "--anchor", head])
    second = Judge(vault, load_certificates(root), [head_of(head)])
    return done.exit_code, done.output, second.judge()


def test_every_form_in_which_a_head_leaves_a_camera_is_taken(it: Camera, tmp_path: Path) -> None:
    watch = Watch(it)
    record(it)
    Records(tmp_path / "heads", every_ns=0).keep(watch.seen, it.loop.now_ns())
    state = [m.payload.decode() for m in it.broker.messages if m.topic.endswith("/state")][-1]
    kept = tmp_path / "heads" / "bench-camera-1.json"
    it.shut_down()
    vault, root = tmp_path / "vault", tmp_path / "root.pem"
    it.disk.dump(vault)
    root.write_bytes(it.agency.files["agency-root.pem"])
    head = json.loads(state)["head"]
    plain = json.dumps({name: head[name] for name in ("device", "boot", "number", "digest")})
    for given in (state, str(kept), json.dumps(head), plain):
        assert judged(vault, root, given)[0::2] == (0, "whole")

    forged = {**head, "utc_ms": head["utc_ms"] + 1}
    code, words, second = judged(vault, root, json.dumps({"head": forged}))
    assert (code, second) == (10, "changed")
    assert "not signed by this camera" in words

    (ledger,) = (vault / "ledger").iterdir()
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines[: head["number"] - 1]))
    for given in (state, str(kept), plain):
        code, words, second = judged(vault, root, given)
        assert (code, second) == (10, "changed")
        assert "its end was" in words


@pytest.mark.parametrize(
    "text", ["{}", '{"head": 1}', '{"device": "a", "boot": 1, "number": 1e400, "digest": ""}',
             '{"a":' * 100_000, '{"number": ' + "9" * 5000 + "}", "{"],
)  # fmt: skip
def test_what_is_not_a_head_is_one_sentence(text: str, tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="not a ledger head"):
        parse_head(text)
    with pytest.raises(SystemExit, match="needs a ledger head"):
        head_of(text)


def test_a_wrong_root_file_has_a_verdict_of_its_own(it: Camera, tmp_path: Path) -> None:
    record(it)
    it.shut_down()
    it.disk.dump(tmp_path / "vault")
    other = tmp_path / "other.pem"
    other.write_bytes(BenchAgency("another").files["agency-root.pem"])
    done = CliRunner().invoke(verify_command, [str(tmp_path / "vault"), "--root", str(other)])
    assert done.exit_code == 21
    assert "not of the agency of this root file" in done.output
    assert "was changed" not in done.output
    (sealed,) = (tmp_path / "vault" / "footage").iterdir()
    sealed.write_bytes(b"x" + sealed.read_bytes()[1:])
    done = CliRunner().invoke(verify_command, [str(tmp_path / "vault"), "--root", str(other)])
    assert done.exit_code == 10
