"""`bwv custody` as people use it, over a directory."""

from __future__ import annotations

import datetime
import json
import re
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from support.custody_site import CustodySite as Desk
from test_cli import BWV, Said, bwv

from bwv_device import keys
from bwv_device.commands.custody.options import CustodyContext
from bwv_device.commands.custody.service_log import ServiceLog
from bwv_device.custody.intake.results import Done
from bwv_device.formats import store_keys
from hal.host import HostEntropy
from hal.stores.directory import DirectoryStore
from sim.world.custody_workers import founded
from sim.world.test_keys import FOUNDED, BenchAgency


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("custody"))


ADA = "roles/the-custodian.custodian-key.pem"
ONE, TWO = "cam-7/00000001-0001", "cam-7/00000001-0002"


def test_listed_shown_audited(desk: Desk) -> None:
    assert [row["id"] for row in desk.ask("custodian", "list")] == [ONE, TWO]
    assert ONE in desk.does("custodian", "list", "--camera", "cam-7")
    assert desk.ask("custodian", "list", "--officer", "nobody") == []
    assert desk.ask("custodian", "list", "--from", "2031-01-01") == []
    shown = desk.ask("custodian", "show", ONE)
    assert shown["files"][0]["status"] == "received"
    assert "intake" in desk.does("custodian", "show", ONE)
    life = desk.ask("custodian", "audit", ONE)
    assert life["unbroken"] is True
    assert "Unbroken" in desk.does("custodian", "audit", ONE)
    assert desk.ask("custodian", "quarantine", "list") == []
    assert "cam-7" in desk.does("custodian", "camera", "list")


def test_held_and_released_by_two(desk: Desk) -> None:
    assert "is held" in desk.does("custodian", "hold", ONE, "--reason", "evidence", "--case", "12")
    (hold,) = desk.ask("custodian", "show", ONE)["holds"]
    number = str(hold["n"])
    desk.does("custodian", "release", "propose", number, "--reason", "closed")
    same = desk.custody("custodian", "release", "approve", number)
    assert same.returncode == 13
    assert "Somebody else must approve it" in same.stderr
    assert "is released" in desk.does("reviewer", "release", "approve", number)
    desk.does("custodian", "categorize", ONE, "evidence")
    desk.does("reviewer", "review", ONE, "a conversation")
    reasons = {row["recording"]: row for row in desk.ask("retention", "expire", "--dry-run")}
    assert reasons[ONE]["action"] == reasons[TWO]["action"] == "keep"
    assert "2555 days" in reasons[ONE]["why"]
    assert "0 erased" in desk.custody("retention", "expire").stderr


def test_a_request_from_the_public(desk: Desk) -> None:
    began = desk.ask("custodian", "list")[1]["start_ns"] // 10**9

    moment = datetime.datetime.fromtimestamp(began, datetime.UTC)
    (desk.folder / "letter.txt").write_text("Dear Sir or Madam")
    words = ["--kind", "subject-access", "--letter", "letter.txt", "--incident"]
    words += [moment.isoformat(), "--received", f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"]
    words += ["--place", "Mare Street", "--description", "bus stop"]
    said = desk.does("custodian", "request", "open", *words)
    assert "the answer is due on" in said
    assert said.count("held: ") == 2
    (row,) = desk.ask("custodian", "request", "list")
    found = desk.ask("custodian", "request", "search", row["id"])
    assert found["found"] == [ONE, TWO]
    why = ("--about", "identity", "--reason", "a passport")
    said = desk.does("custodian", "request", "ask", row["id"], *why)
    assert "the clock stands still until identity is answered" in said
    assert "waits" in desk.does("custodian", "request", "list")
    said = desk.does("custodian", "request", "answer", row["id"], *why)
    assert f"the answer is due on {row['due']}" in said
    said = desk.does(
        "custodian", "request", "extend", row["id"], "--about", "complex", "--reason", "long"
    )
    assert "the answer is due on" in said
    assert row["due"] not in said
    refused = desk.custody("custodian", "request", "ask", row["id"], "--about", "fee", *why[2:])
    assert (refused.returncode, "fee changes nothing" in refused.stderr) == (13, True)
    shown = desk.does("custodian", "request", "show", row["id"])
    for words in ("asked identity", "answered identity", "extended complex", "a passport", "hold"):
        assert words in shown
    assert len(desk.ask("custodian", "request", "show", row["id"])["lines"]) == 5
    desk.does("custodian", "request", "close", row["id"], "--outcome", "disclosed")
    counted = desk.ask("custodian", "request", "statistics")["subject-access"]
    assert (counted["received"], counted["in_time"], counted["open"]) == (1, 1, 0)
    assert "average days" in desk.does("custodian", "request", "statistics")
    assert (
        desk.custody("custodian", "request", "close", row["id"], "--outcome", "refused").returncode
        == 13
    )


def test_issued_and_revoked(desk: Desk) -> None:
    key = ["--configuration-as", "roles/the-configuration.configuration-key.pem"]
    refused = desk.custody("custodian", "camera", "issue", "cam-9", "unassigned", *key, "--new")
    assert refused.returncode == 13
    typo = desk.custody("custodian", "camera", "issue", "cam-9", "PC 1", *key)
    assert typo.returncode == 13
    assert "No camera cam-9 has docked here" in typo.stderr
    new = desk.does("custodian", "camera", "issue", "cam-9", "PC 1", *key, "--new")
    assert "is issued to PC 1" in new
    again = desk.custody("custodian", "camera", "issue", "cam-9", "PC 2", *key)
    assert "it is issued to PC 1" in again.stderr
    desk.does("custodian", "camera", "return", "cam-9", *key)
    desk.does("custodian", "camera", "revoke", "cam-9", "--reason", "lost")


@pytest.mark.ci
def test_a_camera_begins_anew_with_what_the_agency_assigned(tmp_path: Path) -> None:
    """The real thing in real time: docked, it learns of its officer and settings, stops in order,
    and the next process begins with them."""
    desk = Desk.__new__(Desk)
    desk.folder = tmp_path
    for words in (["keygen", "agency"], ["provision", "cam-7", "--agency", "agency"], *(
        ["custody", "enrol", f"the {role}", "--role", role, "--agency", "agency"]
        for role in ("intake", "custodian", "configuration")
    )):  # fmt: skip
        assert bwv(*words, cwd=tmp_path).returncode == 0
    (tmp_path / "evidence").mkdir()
    founded(DirectoryStore(tmp_path / "evidence"))
    (tmp_path / "config.toml").write_text(
        '[dock]\nstore = "evidence"\npoll_ms = 200\n[video]\nwidth = 320\nheight = 240\n'
    )
    (tmp_path / "custody.toml").write_text("[profiles.patrol.recording]\npre_event_s = 5\n")
    (tmp_path / "foreign.toml").write_text('[device]\nboard = "x"\n')
    key = ["--configuration-as", "roles/the-configuration.configuration-key.pem"]
    issue = ["camera", "issue", "cam-7", "PC 42", *key, "--new"]
    refused = desk.custody("custodian", *issue, "--settings", "foreign.toml")
    assert refused.returncode == 3
    assert "can't be assigned" in refused.stderr
    unknown = desk.custody("custodian", *issue, "--profile", "traffic")
    assert unknown.returncode == 13
    assert "There is no profile 'traffic' (known: patrol)" in unknown.stderr
    assert "PC 42 as patrol" in desk.does("custodian", *issue, "--profile", "patrol")
    assert '"profile": "patrol"' in desk.does("custodian", "camera", "list", "--json")
    service = subprocess.Popen(
        [str(BWV), "custody", "--as", "roles/the-intake.intake-key.pem", "intake", "--watch"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        words = ["run", "--config", "config.toml", "--seconds"]
        first = bwv(*words, "60", cwd=tmp_path, text_in="dock\n")
        assert first.returncode == 15, first.stderr
        second = subprocess.Popen(
            [str(BWV), *words, "20"], cwd=tmp_path, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert second.stdin
        assert second.stdout
        said = Said(second.stdout)
        said.wait("starting → ready")
        while not said.has("ready → recording"):  # refused until the encoder delivers
            second.stdin.write("record\n")
            second.stdin.flush()
            said.pause()
        second.stdin.close()
        assert second.wait(timeout=60) == 0
    finally:
        service.terminate()
        log, _ = service.communicate()
    lines = [
        json.loads(line.split("\t")[0])
        for path in sorted((tmp_path / "vault" / "ledger").iterdir())
        for line in path.read_text().splitlines()
    ]
    (opened,) = [line for line in lines if line["kind"] == "open"]
    assert opened["officer"] == "PC 42"
    assert opened["pre_event"]["requested_ms"] == 5000
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  0 receipts, 0 quarantined$", log, re.M), log


def test_disclosed(desk: Desk) -> None:
    words = ["disclose", ONE, "--identity", "agency/agency-identity.txt", "--out", "package"]
    assert desk.custody("disclosure", *words).returncode == 2, "to whom and why must be said"
    said = desk.does("disclosure", *words, "--to", "Court", "--reason", "case 12")
    assert "as the camera encoded it" in said
    assert "Whoever checks it reads: genuine" in said
    assert (desk.folder / "package" / "report.pdf").exists()
    again = desk.custody("disclosure", *words, "--to", "Court", "--reason", "case 12")
    assert again.returncode == 13


def test_a_log_line_names_time_camera_recording_and_officer(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk.folder)
    context = CustodyContext(None, Path(ADA))
    log = ServiceLog(context)
    log.intake(Done(received=2, receipts=2, arrived=Counter({ONE: 2})))
    context.session.index.db.execute("INSERT INTO problems VALUES (7, 'its signer may not')")
    log.intake(Done(refused=["cam-7: rolled back\n2026-01-01 00:00:00  all is well"]))
    out, err = capsys.readouterr()
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  "
    assert re.search(stamp + r"cam-7: 2 files of recording 00000001-0001 received \(\w+\)", out)
    assert re.search(stamp + "custody line 7: its signer may not", err)
    assert re.search(stamp + r"refused: cam-7: rolled back\\n2026.* all is well", err)


@pytest.mark.parametrize("how", ["text", "zeros in the middle"])
def test_a_damaged_index_is_made_anew(desk: Desk, how: str) -> None:
    path = desk.folder / "index.sqlite"
    before = desk.ask("custodian", "list")
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if how == "text":
        path.write_text("this is no database" * 100)
    else:
        data = path.read_bytes()
        path.write_bytes(data[:8192] + bytes(len(data) - 12288) + data[-4096:])
    damaged = path.read_bytes()
    assert desk.ask("custodian", "list") == before
    assert damaged in [kept.read_bytes() for kept in desk.folder.glob("index.sqlite.damaged-*")]


def test_another_programs_database_is_no_index(desk: Desk) -> None:
    (desk.folder / "other.toml").write_text('[agency]\nindex = "other.sqlite"\n')
    with sqlite3.connect(desk.folder / "other.sqlite") as db:
        db.execute("CREATE TABLE precious (x)")
    before = (desk.folder / "other.sqlite").read_bytes()
    done = bwv("custody", "--config", "other.toml", "--as", ADA, "list", cwd=desk.folder)
    assert done.returncode == 13
    assert "another program's database" in done.stderr
    with sqlite3.connect(desk.folder / "other.sqlite") as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("precious",)]
    assert len((desk.folder / "other.sqlite").read_bytes()) == len(before)


def test_an_index_that_can_not_be_written_is_one_sentence(desk: Desk) -> None:
    (desk.folder / "folder.toml").write_text('[agency]\nindex = "roles"\n')
    done = bwv("custody", "--config", "folder.toml", "--as", ADA, "list", cwd=desk.folder)
    assert done.returncode == 13
    assert "The index roles can't be used" in done.stderr


def test_custody_refuses_a_request_that_is_not_there(desk: Desk) -> None:
    words = ["disclose", ONE, "--identity", "agency/agency-identity.txt", "--out", "p2",
             "--request", "99", "--to", "Court", "--reason", "case 12"]  # fmt: skip
    done = desk.custody("disclosure", *words)
    assert (done.returncode, "There is no request '99'" in done.stderr) == (13, True)
    assert not (desk.folder / "p2").exists()


def test_once_is_enough_and_the_index_can_be_lost(desk: Desk) -> None:
    assert desk.does("intake", "intake") == ""
    (desk.folder / "index.sqlite").unlink()
    assert "2 recordings" in desk.does("custodian", "index")


def test_policies_are_printed(desk: Desk) -> None:
    policy = json.loads(bwv("custody", "policy", "evidence", "--device", "cam-7").stdout)
    assert "arn:aws:s3:::evidence/footage/cam-7/*" in str(policy)
    assert bwv("custody", "policy", "evidence").returncode == 2


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--as", "nowhere.pem", "list"], 5, "can't be used"),
        (["list"], 5, "No role key given"),
        (["--as", ADA, "show", "cam-7/1"], 13, "no recording"),
        (["--as", ADA, "list", "--from", "noon"], 13, "Invalid time"),
        (["--config", "none.toml", "list"], 3, "can't be read"),
        (["--config", "bad.toml", "list"], 3, "did you mean 'address'"),
        (["--config", "gone.toml", "--as", ADA, "list"], 14,
         "is it mounted?"),
        (["--config", "clear.toml", "--as", ADA, "list"], 14,
         "not encrypted"),
        (["--config", "s3.toml", "--as", ADA, "list"], 5,
         "can be read by others"),
        (["--as", "open.pem", "list"], 5, "can be read by others"),
        (["--as", ADA, "certificate", ONE], 13, "not erased"),
        (["--as", ADA, "hold", ONE, "--reason", ""], 13,
         "needs a reason"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_sentence_with_its_code(
    desk: Desk, words: list[str], code: int, sentence: str
) -> None:
    folder = desk.folder
    (folder / "bad.toml").write_text('[store]\nadress = "x"\n')
    (folder / "gone.toml").write_text('[store]\naddress = "not-mounted"\n[agency]\nindex = ""\n')
    (folder / "clear.toml").write_text('[store]\naddress = "http://example.org/b"\n')
    (folder / "s3.toml").write_text(
        '[store]\naddress = "https://example.org/b"\ncredentials = "open.toml"\n'
    )
    for name, text in (("open.toml", 'access_key = "a"\nsecret_key = "b"\n'), ("open.pem", "x")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
    done = bwv("custody", *words, cwd=folder)
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_written_is_private(desk: Desk) -> None:
    """The index names people and places. Certificates are for everybody."""
    desk.ask("custodian", "list")
    for path in (desk.folder / "index.sqlite", desk.folder / ROLE_KEY):
        assert path.stat().st_mode & 0o077 == 0, path
    assert (desk.folder / "agency" / keys.ROOT).stat().st_mode & 0o777 == 0o644
    assert (desk.folder / "agency" / keys.IDENTITY).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("whose", ["a camera's", "another agency's", "the broker's"])
def test_a_key_that_may_not_act_is_refused_before_it_says_done(
    desk: Desk, tmp_path: Path, whose: str
) -> None:
    other = BenchAgency("another")
    if whose == "a camera's":
        folder = desk.folder / "keys"
        pem = (folder / keys.DEVICE_KEY).read_bytes() + (folder / keys.DEVICE).read_bytes()
    elif whose == "the broker's":
        made = keys.broker_files(other.files, ["b.example"], HostEntropy(), FOUNDED)
        pem = made[keys.BROKER_KEY] + made[keys.BROKER]
    else:
        (pem,) = keys.role_files(other.files, "Ada", "custodian", HostEntropy(), FOUNDED).values()
    path = tmp_path / "some-key.pem"
    path.write_bytes(pem)
    path.chmod(0o600)
    ledger = desk.folder / "evidence" / store_keys.LINES
    before = sorted(ledger.rglob("*"))
    done = bwv("custody", "--as", str(path), "hold", ONE, "--reason", "x", cwd=desk.folder)
    assert done.returncode == 5, done.stdout + done.stderr
    assert "can't act here" in done.stderr
    assert done.stdout == ""
    assert sorted(ledger.rglob("*")) == before


ROLE_KEY = "roles/the-intake.intake-key.pem"


@pytest.mark.parametrize("trouble", ["junk", "intake can't start"])
def test_overdue_footage_is_erased_whatever_intake_meets(tmp_path: Path, trouble: str) -> None:
    """The service as it is started; with objects that no camera signed, and with an intake that
    ends at once."""
    desk = Desk(tmp_path, days_ago=40)
    intake = tmp_path / "roles" / "the-intake.intake-key.pem"
    junk = tmp_path / "evidence" / "dockings" / "aaa"
    junk.mkdir(parents=True)
    (junk / ("ab" * 16)).write_bytes(bytes(5 << 20))
    (junk / "what now?").write_bytes(b"x")
    (tmp_path / "evidence" / "dockings" / "evil").symlink_to("../custody/ledger")
    if trouble != "junk":
        intake.write_text("no key")
    command = [sys.executable, "-m", "bwv_device", "custody", "--as", str(intake), "serve"]
    command += ["--retention-as", "roles/the-retention.retention-key.pem"]
    serving = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)  # fmt: skip
    assert serving.stdout
    said = []
    for line in serving.stdout:
        said.append(line)
        if sum("erased: cam-7/" in told for told in said) == 2 and (
            trouble == "junk" or any("starts again" in told for told in said)
        ):
            break
    serving.send_signal(signal.SIGTERM)
    rest, _ = serving.communicate(timeout=40)
    assert serving.returncode == 0, "".join(said) + rest
    assert "Traceback" not in "".join(said) + rest
    for name in (ONE, TWO):
        assert desk.ask("custodian", "certificate", name)["certificate"]["recording"] == name
    assert (tmp_path / "evidence" / store_keys.line(1)).is_file()
