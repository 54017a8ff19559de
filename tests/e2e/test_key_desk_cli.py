"""The key desk as a service, and the commands that go through it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from support.custody_site import CustodySite
from support.made_vault import MadeVault
from support.warm_bwv import bwv

from bwv_device import keys
from bwv_device.backends.key_desk_line import HttpDesk
from bwv_device.custody.disclosure.content_credentials import state
from bwv_device.custody.key_desk.looking import DeskKeys, ViewingKey
from bwv_device.custody.key_desk.open_recording import open_recording
from bwv_device.custody.retention_dates import Retention
from bwv_device.custody.session import CustodySession
from bwv_device.formats import age
from bwv_device.formats.age_payload import Opener
from bwv_device.formats.media.mp4_writer import METADATA_UUID
from hal.host import HostClock, HostEntropy
from hal.keystore import SoftwareIdentity
from hal.stores.directory import DirectoryStore
from sim.world.custody_workers import LONDON
from sim.world.test_keys import FOUNDED, BenchAgency

ONE, TWO = "cam-7/00000001-0001", "cam-7/00000001-0002"
# As a user starts it, but that its memory may be read by whoever started it.
DESK = (
    sys.executable, "-c",
    "from hal import memory; memory.keep_private = lambda: None; "
    "from bwv_device.__main__ import main; main()",
)  # fmt: skip
WORDS = "four words nobody guesses"
ADA, ROB = "the-custodian", "the-reviewer"


class Served:
    """A site of custody with a key desk that answers."""

    def __init__(self, folder: Path) -> None:
        self.site = CustodySite(folder)
        self.folder = folder
        (folder / "custody.toml").write_text(
            '[agency]\nindex = "index.sqlite"\n[viewing]\nown_case = ["reviewer"]\n'
            'two_persons = ["evidence"]\nalarm_views = 2\n'
        )
        self.secret = folder / "passphrase"
        self.secret.write_text(WORDS + "\n")
        self.secret.chmod(0o600)
        self.says("enrol", "key desk", "--role", "keydesk", "--agency", "agency")
        for name in ("the custodian", "the reviewer"):
            self.says("enrol", name, "--role", "viewing", "--agency", "agency")
        self.url, self.process = "", None

    def says(self, *words: str, code: int = 0, role: str = "") -> str:
        key = ["--as", f"roles/the-{role}.{role}-key.pem"] if role else []
        done = bwv("custody", *key, *words, cwd=self.folder)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def lock_identity(self) -> None:
        secret = (self.folder / "agency" / keys.IDENTITY).read_bytes()
        (self.folder / "identity.age").write_bytes(
            keys.locked(secret, WORDS.encode(), HostEntropy())
        )

    def command(self, *words: str, role: str = "keydesk", name: str = "key-desk") -> list[str]:
        key = f"roles/{name}.{role}-key.pem"
        return [*DESK, "keydesk", "--as", key, "serve", "--listen", "127.0.0.1:0", *words]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "BWV_PASSPHRASE_FILE": str(self.secret), "PYTHONUNBUFFERED": "1"}

    def start(self) -> None:
        self.lock_identity()
        self.process = subprocess.Popen(
            self.command("--identity", "identity.age", "--unlocked"), cwd=self.folder, text=True,
            env=self.environment, stdout=subprocess.PIPE, stderr=(self.folder / "log").open("w"),
        )  # fmt: skip
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"answers on (http://\S+)", line):
                self.url = found.group(1)
                return
        raise AssertionError((self.folder / "log").read_text())

    def view(self, recording: str, *words: str, role: str = "custodian", code: int = 0) -> str:
        return self.says(
            "view", recording, "--viewing-key", f"roles/the-{role}.viewing-key.txt", *words,
            role=role, code=code,
        )  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    it = Served(tmp_path_factory.mktemp("desk"))
    it.start()
    yield it
    assert it.process is not None
    it.process.terminate()
    assert it.process.wait(20) is not None


def test_a_film_comes_through_the_desk_after_a_line(served: Served) -> None:
    out = served.folder / "look"
    said = served.view(ONE, "--reason", "a complaint", "--desk", served.url, "--out", "look")
    assert "stays openable by you" in said
    assert [path.name for path in sorted(out.iterdir())] == [
        "00000001-0001.json", "00000001-0001.mp4"
    ]  # fmt: skip
    (told,) = json.loads(served.says("views", ONE, "--json", role="custodian"))
    assert (told["person"], told["reason"], told["wrong"]) == ("the custodian", "a complaint", "")
    assert "a complaint" in served.says("views", role="reviewer")
    assert "viewed" in served.says("audit", ONE, role="reviewer")


def test_what_the_desk_refuses_is_one_sentence(served: Served) -> None:
    said = served.view(ONE, "--desk", served.url, "--out", "none", code=13)
    assert said.strip() == "bwv: A look needs a reason. Give one with --reason."
    assert list((served.folder / "none").iterdir()) == []
    said = served.view(ONE, "--reason", "x", "--out", "none", code=5)
    assert "No key desk is named" in said
    said = served.view(ONE, "--reason", "x", "--desk", "http://127.0.0.1:9", "--out", "o", code=13)
    assert "can't be reached" in said
    assert "A look needs a reason" in (served.folder / "log").read_text()


def test_a_request_of_other_bytes_is_one_sentence(served: Served) -> None:
    (served.folder / "junk").write_bytes(b"\xff\xfe\x00")
    for where in (("--desk", served.url), ("--identity", "agency/agency-identity.txt")):
        said = served.view(ONE, "--request", "junk", *where, "--out", "none", code=13)
        assert said.startswith("bwv: The "), said
        assert len(said.splitlines()) == 1


def test_a_reviewer_sees_their_cases_only(served: Served) -> None:
    words = ("--reason", "scrutiny", "--desk", served.url, "--out", "rob")
    assert "own cases only" in served.view(TWO, *words, role="reviewer", code=13)
    served.says("hold", TWO, "--reason", "evidence", "--case", "12/26", role="custodian")
    assert "is on 12/26" in served.says("case", "add", "12/26", "The Reviewer", role="custodian")
    assert "the reviewer" in served.says("case", "show", "12/26", role="custodian")
    served.view(TWO, *words, role="reviewer")
    assert "is off 12/26" in served.says(
        "case", "remove", "12/26", "the reviewer", role="custodian"
    )
    assert "own cases only" in served.view(TWO, *words, role="reviewer", code=13)


def test_a_second_person_agrees_to_one_look(served: Served) -> None:
    served.says("categorize", TWO, "evidence", role="custodian")
    words = ("--reason", "the trial", "--desk", served.url, "--out", "two")
    assert "needs a second person" in served.view(TWO, *words, code=13)
    served.view(TWO, "--reason", "the trial", "--request-out", "asked")
    own = served.says("approve-view", "asked", role="custodian", code=13)
    assert "the person who asks" in own
    assert "the trial" in served.says("approve-view", "asked", role="reviewer")
    served.view(
        TWO, "--request", "asked", "--approval", "asked.approval", "--desk", served.url,
        "--out", "two",
    )  # fmt: skip
    told = json.loads(served.says("views", TWO, "--json", role="custodian"))
    assert told[-1]["approver"] == "the reviewer"


def test_on_one_machine_no_desk_is_needed(served: Served) -> None:
    said = served.view(
        ONE, "--reason", "the desk is down", "--identity", "agency/agency-identity.txt",
        "--out", "alone",
    )  # fmt: skip
    assert "00000001-0001.mp4" in said
    (told,) = [
        one for one in json.loads(served.says("views", ONE, "--json", role="custodian"))
        if one["reason"] == "the desk is down"
    ]  # fmt: skip
    assert told["kind"] == "viewed"


def test_many_looks_are_an_alarm(served: Served) -> None:
    for _ in range(3):
        served.view(ONE, "--reason", "curious", "--desk", served.url, "--out", "many")
    assert "ALARM: the custodian looked" in (served.folder / "log").read_text()
    told = urllib.request.urlopen(served.url + "metrics", timeout=30).read().decode()
    counts = dict(re.findall(r"bwv_key_desk_(\w+)_total (\d+)", told))
    assert int(counts["alarms"]) > 0
    assert int(counts["granted"]) > 3
    assert int(counts["refused"]) > 0
    assert told.endswith("# EOF\n")


def test_junk_over_http_changes_nothing(served: Served) -> None:
    for body in (b"", b"{}", b"[" * 100_000, b'{"request":1,"approval":""}', b"x" * 200_000):
        asked = urllib.request.Request(served.url + "view", data=body)
        with pytest.raises(HTTPError) as told:
            urllib.request.urlopen(asked, timeout=30)
        assert told.value.code == 400
    assert urllib.request.urlopen(served.url, timeout=30).read() == b"bwv key desk\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--identity", "agency/agency-identity.txt", "--unlocked"), "in clear"),
        (("--identity", "nothing.age", "--unlocked"), "can't be read"),
    ],
)
def test_a_desk_does_not_start(served: Served, words: tuple[str, ...], why: str) -> None:
    done = subprocess.run(
        served.command(*words), cwd=served.folder, env=served.environment, capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 5, done.stderr
    assert why in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_desk_has_a_role_of_its_own(served: Served) -> None:
    command = served.command("--identity", "identity.age", role="custodian", name="the-custodian")
    done = subprocess.run(
        command, cwd=served.folder, env=served.environment, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert "has a role of its own" in done.stderr


def test_export_says_whether_a_line_was_written(
    served: Served, made_vault: MadeVault, agency: BenchAgency, tmp_path: Path
) -> None:
    identity = tmp_path / "identity.txt"
    identity.write_bytes(agency.files[keys.IDENTITY])
    words = ("export", made_vault.path, "--identity", identity, "--out", tmp_path / "out")
    assert "No line says that you open this" in bwv(*words).stderr
    key = served.folder / f"roles/{ADA}.custodian-key.pem"
    done = bwv(*words, "--as", key, "--reason", "the store is away", cwd=served.folder)
    assert "says that you open this" in done.stderr
    assert done.returncode == 0
    nowhere = bwv(*words, "--as", key, "--custody", tmp_path / "none.toml", cwd=served.folder)
    assert "could not be written" in nowhere.stderr
    assert nowhere.returncode == 0
    told = json.loads(served.says("views", "--json", role="custodian"))
    assert [one["reason"] for one in told if one["kind"] == "exported"] == ["the store is away"]


def test_export_can_sign_what_it_gives(
    made_vault: MadeVault, agency: BenchAgency, tmp_path: Path
) -> None:
    identity, root = tmp_path / "identity.txt", tmp_path / "root.pem"
    identity.write_bytes(agency.files[keys.IDENTITY])
    root.write_bytes(agency.files[keys.ROOT])
    for role in ("disclosure", "custodian"):
        (made,) = keys.role_files(agency.files, "Dora", role, HostEntropy(), FOUNDED).values()
        (tmp_path / role).write_bytes(made)
        (tmp_path / role).chmod(0o600)
    words = ("export", made_vault.path, "--identity", identity, "--root", root, "--out",
             tmp_path / "out", "--c2pa")  # fmt: skip
    wrong = bwv(*words, "--as", tmp_path / "custodian")
    assert (wrong.returncode, "needs disclosure" in wrong.stderr) == (5, True)
    assert not (tmp_path / "out").exists()
    done = bwv(*words, "--as", tmp_path / "disclosure")
    assert done.returncode == 0, done.stderr
    films = sorted((tmp_path / "out").glob("*.mp4"))
    assert films
    for film in films:
        assert state(film, root.read_text()) == "Trusted"
        told = json.loads(film.with_suffix(".json").read_text())
        assert told["sha256"] == hashlib.sha256(film.read_bytes()).hexdigest()


# --- what lies where ------------------------------------------------------------------------------

VIEWS = 100


def memory_of(process: int) -> bytes:
    """All that it can write to."""
    held = bytearray()
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            first, last = (int(end, 16) for end in span.split("-"))
            if rights.startswith("rw"):
                memory.seek(first)
                held += memory.read(last - first)
    return bytes(held)


def test_after_a_hundred_views_neither_store_nor_desk_has_seen_footage(
    served: Served, tmp_path: Path
) -> None:
    """The store's disk holds no file key and nothing in clear; the desk's memory no footage."""
    folder = served.folder
    role = SoftwareIdentity.load(*[folder / f"roles/{ADA}.custodian-key.pem"] * 2)
    roots = keys.load_certificates(folder / "agency" / keys.ROOT)
    session = CustodySession(
        DirectoryStore(folder / "evidence"), HostClock(), role, roots, Retention(LONDON),
        HostEntropy(),
    )  # fmt: skip
    key = ViewingKey(*keys.load_viewing_key(folder / f"roles/{ADA}.viewing-key.txt"))
    through = DeskKeys(session, HttpDesk(served.url), key)
    for number in range(VIEWS):
        open_recording(session, roots, through, ONE, tmp_path / f"{number}", f"look {number}")
    sealed = next((tmp_path / "0" / "vault" / "footage").iterdir()).read_bytes()
    agency = keys.load_identities(folder / "agency" / keys.IDENTITY)
    file_key = age.open_file_key(age.parse_header(sealed[: age.HEADER_LIMIT]), agency)
    plain = b"".join(Opener(io.BytesIO(sealed), agency).chunks())
    # The boxes in front of its metadata and of its fragments.
    starts = [found.start() for found in re.finditer(METADATA_UUID + b"|moof", plain)]
    told = [plain[at - 8 : at + 120] for at in starts]
    assert len(told) > 5
    on_disk = b"".join(
        path.read_bytes() for place in ("evidence", "index.sqlite", "log")
        for path in sorted([folder / place, *(folder / place).rglob("*")]) if path.is_file()
    )  # fmt: skip
    assert served.process is not None
    desk = memory_of(served.process.pid)
    assert not any(one in on_disk or one in desk for one in told)
    assert file_key not in on_disk
    # What is there is found: the same look at what must hold them.
    assert all(one in plain for one in told)
    assert sealed[:200] in on_disk
    assert roots[0].public_bytes(Encoding.DER) in desk
