"""Films cut and redacted, and the package that goes to court."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import av
import c2pa
import cv2
import numpy as np
import pytest
from support.camera_bench import make_camera
from support.warm_bwv import bwv
from support.write_anyway import write_anyway

from bwv_device import keys
from bwv_device.custody.disclosure.content_credentials import state
from bwv_device.custody.disclosure.credentials import MadeOf, embed
from bwv_device.custody.disclosure.film_signatures import judge_film
from bwv_device.custody.disclosure.media_process import MediaProcess
from bwv_device.custody.disclosure.package import disclose
from bwv_device.custody.disclosure.package_films import Package, PackageFilms, require_one_film
from bwv_device.custody.disclosure.redaction_plan import Redaction, RedactionBox, read_redaction
from bwv_device.custody.disclosure.request import DisclosureRequest
from bwv_device.custody.key_desk.looking import AgencyKeys
from bwv_device.custody.key_desk.open_recording import Opened
from bwv_device.custody.requests import law, public_requests
from bwv_device.custody.retention import holds
from bwv_device.custody.search import review
from bwv_device.errors import ClipError, CustodyError, SealedFileError, VaultError
from bwv_device.formats import canonical_json, statement
from bwv_device.formats.age_payload import Opener
from bwv_device.formats.grammar.purposes import PACKAGE
from bwv_device.formats.grammar.statements import PackageStatement, Revoked
from bwv_device.verification import second_video_verifier
from bwv_device.verification.export import Exported
from bwv_device.verification.package_camera import FileKeys, read_camera_lines
from bwv_device.verification.package_verifier import (
    PackageVerdict,
    require_standing,
    verify_package,
)
from bwv_device.verification.trust_list import read_trust_list
from bwv_device.verification.vault_report import Report, Survey
from bwv_device.verification.video_signatures import Answer
from hal.simulated.power_dock_and_place import StubStills
from sim.custody.witness import WorldWitness
from sim.custody.witnessed_store import WitnessedStore
from sim.media.scene import Scene
from sim.media.sound import Sound, street
from sim.world.custody_workers import BenchClock, BenchCustody
from sim.world.test_keys import BenchAgency
from sim.world.world import EPOCH_UTC_NS, Media

SIZE = (320, 240, 10, 300_000)


class Held(NamedTuple):
    """A real recording of ten seconds in a store, and who keeps it."""

    agency: BenchAgency
    custody: BenchCustody
    name: str
    log: WitnessedStore | None = None

    def publish(self) -> bool:
        """Witnesses see what was written."""
        return self.log is not None and self.log.publish().size > 0


@pytest.fixture(scope="module")
def held(agency: BenchAgency) -> Held:
    return recorded(agency)


def recorded(agency: BenchAgency, *, witnessed: bool = False, sign_video: bool = True) -> Held:
    scene = Scene(*SIZE, EPOCH_UTC_NS)
    media = Media(scene, Sound(street, 64_000), StubStills())
    it = make_camera(
        agency,
        media=media,
        dock={"store": "bench", "poll_ms": 500},
        recording={"pre_event_s": 0, "segment_s": 10, "sign_video": sign_video},
        video={"width": 320, "height": 240, "fps": 10, "bitrate_kbps": 300},
    )
    log: WitnessedStore | None = None
    if witnessed:
        clock = BenchClock(it.loop)
        witness = WorldWitness("ombudsman.example/w1", clock)
        log = WitnessedStore(agency, it.uplink.store, clock, [witness])
    custody = BenchCustody(it, agency)
    custody.start()
    it.run(seconds=2)
    it.press_record_twice()
    it.run(seconds=8)
    it.press_marker(times=2)
    it.run(seconds=3)
    it.press_marker()
    it.hold_record()
    it.run(seconds=2)
    it.put_in_dock(True)
    it.run(seconds=60)
    scene.close()
    desk = custody.session("a", "auditor")
    desk.index.catch_up()
    (row,) = desk.index.rows("SELECT id FROM recordings")
    return Held(agency, custody, row["id"], log)


def package(held: Held, out: Path, **wishes: Any) -> Any:
    desk = held.custody.session("Dora", "disclosure")
    wish = DisclosureRequest(held.name, "The Crown Court", "case 12/26", **wishes)
    root = held.agency.files[keys.ROOT]
    footage_keys, roots = AgencyKeys(desk, held.agency.identities), [held.agency.root]
    made = disclose(desk, roots, root, footage_keys, wish, out, again=held.publish)
    return made, desk


def test_a_package_that_does_not_verify_says_so(held: Held, tmp_path: Path) -> None:
    """Only what is wrong with this recording: a line of another matter that does not count is no
    verdict on it."""
    store = held.custody.store
    before = dict(store.objects)
    try:
        stranger = held.custody.session("Eve", "auditor")
        write_anyway(stranger, "category", {"recording": held.name, "category": "x"})
        assert package(held, tmp_path / "whole")[0].problems == []
        custodian = held.custody.session("Ada", "custodian")
        review(custodian, held.name, "two people at the bus stop")
        (body,) = [k for k in store.objects.keys() - before.keys() if "/bodies/" in k
                   and b"bus stop" in store.objects[k]]  # fmt: skip
        del store.objects[body]
        made, _ = package(held, tmp_path / "package")
        assert "its body is not there" in made.problems[0]
        assert "does not verify" in (tmp_path / "package" / "report.html").read_text()
    finally:
        store.objects = before


def frames(path: Path) -> list[tuple[float, Any]]:
    with av.open(str(path)) as source:
        return [
            (float(f.time or 0), f.to_ndarray(format="bgr24"))
            for f in source.decode(source.streams.video[0])
        ]


def test_the_package_holds_film_chain_report_and_a_verifier(held: Held, tmp_path: Path) -> None:
    out = tmp_path / "package"
    made, desk = package(held, out)
    names = files_of(out)
    stem = held.name.split("/")[1]
    proof = {f"proof/{name}" for name in ("custody.json", "agency-root.pem", "camera.ledger",
                                          "keys.json")}  # fmt: skip
    assert {f"{stem}.mp4", f"{stem}.json", "report.html", "report.pdf", "SHA256SUMS"} <= names
    assert {"START-HERE.html", "verify.py"} <= names
    assert proof <= names
    sums = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=out, capture_output=True, check=False
    )
    assert sums.returncode == 0, sums.stdout
    command = [sys.executable, "-I", "verify.py", ".", "--root", "proof/agency-root.pem"]
    judged = subprocess.run(command, cwd=out, capture_output=True, text=True, check=False)
    assert judged.returncode == 2
    assert "nobody outside the agency has seen custody's lines" in judged.stdout
    assert made.verdict.answer is Answer.EXCEPTION
    sidecar = json.loads((out / f"{stem}.json").read_text())
    assert all(row["plaintext_matches_ledger"] for row in sidecar["segments"])
    html = (out / "report.html").read_text()
    assert "Nothing was changed, removed or added" in html
    assert "The Crown Court: case 12/26" in html
    assert "nobody outside the agency has seen this ledger" in html
    assert made.problems == []
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF-1")
    desk.index.catch_up()
    (line,) = desk.index.lines("kind = 'disclosed'")
    assert line["files"] == made.digests
    assert line["sums"] == hashlib.sha256((out / "SHA256SUMS").read_bytes()).hexdigest()
    assert (line["name"], line["role"]) == ("Dora", "disclosure")


def test_the_sealed_originals_open_with_the_keys_beside_them(held: Held, tmp_path: Path) -> None:
    """Each key opens its own file, and no other."""
    out = tmp_path / "package"
    package(held, out)
    keys_ = json.loads((out / "proof" / "keys.json").read_text())
    sealed = {path.name: path.read_bytes() for path in (out / "proof" / "sealed").iterdir()}
    assert set(keys_) == set(sealed)
    for name, data in sealed.items():
        for other, key in keys_.items():
            identity = FileKeys({name: bytes.fromhex(key)}, {name: data})
            if name == other:
                plain = b"".join(Opener(io.BytesIO(data), [identity]).chunks())
                assert plain[4:8] == b"ftyp" if ".mp4." in name else plain
            else:
                with pytest.raises(SealedFileError):
                    Opener(io.BytesIO(data), [identity])


def test_an_excerpt_is_cut_on_keyframes_and_not_encoded_anew(held: Held, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    package(held, whole)
    package(held, part, from_s=3.4, to_s=6.2)
    stem = held.name.split("/")[1]
    original, excerpt = frames(whole / f"{stem}.mp4"), frames(part / f"{stem}.excerpt.mp4")
    first = next(n for n, (at_s, _) in enumerate(original) if at_s >= 3.0 - 1e-3)
    assert len(excerpt) in (30, 40)
    for (_, picture), (_, shown) in zip(original[first:], excerpt, strict=False):
        assert np.array_equal(picture, shown)
    assert "cut on keyframes" in (part / "report.html").read_text()


@pytest.mark.parametrize("method", ["pixelate", "blur"])
def test_what_is_covered_can_not_be_seen_and_the_rest_can(
    held: Held, tmp_path: Path, method: Any
) -> None:
    box = RedactionBox(2.0, 5.0, 40, 60, 120, 90)
    redaction = Redaction(method, [box], [(1.0, 3.0)])
    out = tmp_path / "package"
    made, _ = package(held, out, redaction=redaction, confirmed_by="Dora")
    stem = held.name.split("/")[1]
    assert not (out / f"{stem}.mp4").exists()
    assert not (out / "proof" / "vault").exists(), "the originals stay where they are"
    whole = tmp_path / "whole"
    package(held, whole)
    original, covered = frames(whole / f"{stem}.mp4"), frames(made.redacted[0])
    assert len(original) == len(covered)
    for (at_s, before), (_, after) in zip(original, covered, strict=True):
        inside = (slice(65, 145), slice(45, 155))
        if 2.2 < at_s < 4.8:
            detail = cv2.Laplacian(np.ascontiguousarray(after[inside]), cv2.CV_64F).var()
            seen = cv2.Laplacian(np.ascontiguousarray(before[inside]), cv2.CV_64F).var()
            assert detail < seen / 2 or seen < 20
        outside = (slice(0, 50), slice(180, 320))
        apart = np.abs(before[outside].astype(int) - after[outside].astype(int)).mean()
        assert apart < 12
    html = (out / "report.html").read_text()
    assert "encoded anew" in html
    assert "confirmed by Dora" in html
    assert _loudness(made.redacted[0], 1.2, 2.8) < 1e-4 < _loudness(made.redacted[0], 4, 8)


def _loudness(path: Path, from_s: float, to_s: float) -> float:
    total, count = 0.0, 0
    with av.open(str(path)) as source:
        for frame in source.decode(source.streams.audio[0]):
            if from_s <= float(frame.time or 0) <= to_s:
                samples = frame.to_ndarray().astype(float)
                total, count = total + float((samples**2).sum()), count + samples.size
    return float(np.sqrt(total / max(1, count)))


def test_nothing_is_redacted_that_nobody_confirmed(held: Held, tmp_path: Path) -> None:
    with pytest.raises(CustodyError, match="Nobody has confirmed"):
        package(held, tmp_path / "x", redaction=Redaction())
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "notes.txt").write_text("mine")
    with pytest.raises(CustodyError, match="no empty folder"):
        package(held, tmp_path / "y")


def test_faces_are_looked_for_and_shown(held: Held, tmp_path: Path) -> None:
    """The drawn street has no face; that the model sees faces is measured on footage of people
    (docs/custody.md)."""
    out = tmp_path / "package"
    package(held, out)
    path = out / f"{held.name.split('/')[1]}.mp4"
    film = MediaProcess(path, 10, tmp_path)
    assert film.propose().boxes == []
    drawn = Redaction(boxes=[RedactionBox(1.0, 2.0, 10, 10, 50, 50)])
    assert film.contact_sheet(drawn, tmp_path / "sheet.jpg") == 1
    sheet = cv2.imread(str(tmp_path / "sheet.jpg"))
    assert sheet is not None
    assert sheet.shape[1] == 4 * 320
    assert film.contact_sheet(Redaction(), tmp_path / "none.jpg") == 0


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"boxes": [{"x": 1}]}', '{"boxes": [], "method": "erase"}',
     '{"boxes": [{"from_s": 2, "to_s": 1, "x": 0, "y": 0, "width": 5, "height": 5}]}',
     '{"boxes": [{"from_s": 0, "to_s": 1, "x": 0, "y": 0.5, "width": 5, "height": 5}]}',
     '{"boxes": [{"from_s": 0, "to_s": 1e999, "x": 0, "y": 0, "width": 5, "height": 5}]}',
     '{"boxes": [], "mute": [[3, 2]]}', '{"boxes": [], "mute": [[0, NaN]]}'],
)  # fmt: skip
def test_a_redaction_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "redaction.json"
    path.write_text(text)
    with pytest.raises(CustodyError, match="not a usable redaction"):
        read_redaction(path)


def test_a_redaction_can_be_read_again(tmp_path: Path) -> None:
    wanted = Redaction("blur", [RedactionBox(0.0, 1.0, 1, 2, 3, 4)], [(0.5, 1.5)])
    wanted.write(tmp_path / "r.json")
    assert read_redaction(tmp_path / "r.json") == wanted


# --- nothing in clear leaves by accident ----------------------------------------------------------

HERE = RedactionBox(0, 4, 10, 10, 60, 60)


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_redacted_copy_goes_out_alone(held: Held, tmp_path: Path) -> None:
    made, _ = package(held, tmp_path / "p", redaction=Redaction(boxes=[HERE]), confirmed_by="D")
    assert made.films == []
    (covered,) = made.redacted
    names = files_of(tmp_path / "p")
    plan = covered.name.replace(".redacted.mp4", ".redaction.json")
    assert {name for name in names if not name.startswith(("proof/", "report"))} == {
        covered.name, plan, "SHA256SUMS", "SHA256SUMS.sig", "START-HERE.html", "verify.py"
    }  # fmt: skip
    assert json.loads((tmp_path / "p" / plan).read_text())["boxes"][0]["x"] == HERE.x
    assert not any("vault" in name for name in names)


def test_an_excerpt_carries_nothing_from_outside(held: Held, tmp_path: Path) -> None:
    """Neither pictures nor snapshots nor sealed originals; and it is genuine by itself."""
    made, _ = package(held, tmp_path / "p", from_s=3.4, to_s=6.2)
    (film,) = made.films
    names = files_of(tmp_path / "p")
    assert not any("vault" in name or name.endswith((".jpg", ".age")) for name in names)
    told = judge_film(film, [held.agency.root])
    assert (told.answer, told.exceptions) == (Answer.GENUINE, [])
    assert 3 <= told.groups <= 4
    whole = package(held, tmp_path / "whole")[0].films[0]
    outside = [f for at_s, f in frames(whole) if at_s < 2.9 or at_s > 7.1]
    inside = [f for _, f in frames(film)]
    assert not any(np.array_equal(a, b) for a in inside for b in outside)


COVERS_NOTHING: dict[str, Redaction] = {
    "a box beside the picture": Redaction(boxes=[RedactionBox(0, 4, 400, 10, 60, 60)]),
    "a box below it": Redaction(boxes=[RedactionBox(0, 4, 10, 300, 60, 60)]),
    "a box behind the film": Redaction(boxes=[RedactionBox(400, 404, 10, 10, 60, 60)]),
    "a box before it": Redaction(boxes=[RedactionBox(-9, -4, 10, 10, 60, 60)]),
    "one of two": Redaction(boxes=[HERE, RedactionBox(400, 404, 10, 10, 60, 60)]),
    "a span behind the film": Redaction(mute=[(400, 404)]),
    "nothing at all": Redaction(),
}


@pytest.mark.parametrize("what", COVERS_NOTHING)
def test_a_redaction_that_covers_nothing_is_refused_and_nothing_stays(
    held: Held, tmp_path: Path, what: str
) -> None:
    with pytest.raises(CustodyError, match="covers nothing"):
        package(held, tmp_path / "p", redaction=COVERS_NOTHING[what], confirmed_by="Dora")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wishes",
    [
        {"from_s": 500.0, "to_s": 600.0}, {"from_s": 5.0, "to_s": 600.0},
        {"from_s": 6.0, "to_s": 5.0}, {"from_s": 5.0, "to_s": 5.0}, {"from_s": -1.0},
        {"from_s": float("nan")}, {"to_s": float("inf")}, {"to_s": -3.0},
        {"with_original": True},
    ],
)  # fmt: skip
def test_times_that_lie_outside_are_refused_and_nothing_stays(
    held: Held, tmp_path: Path, wishes: dict[str, Any]
) -> None:
    with pytest.raises(CustodyError):
        package(held, tmp_path / "p", **wishes)
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_is_killed_leaves_nothing_in_clear(tmp_path: Path) -> None:
    """kill -9, with a film in its work folder."""
    script = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from bwv_device.custody.disclosure.work_folder import work_folder\n"
        "with work_folder(Path(sys.argv[1])) as work:\n"
        "    (work / 'film.mp4').write_bytes(b'in clear')\n"
        "    print(work, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == -9
    until_s = time.monotonic() + 30
    while list(tmp_path.iterdir()) and time.monotonic() < until_s:
        os.sched_yield()
    assert list(tmp_path.iterdir()) == []


def test_what_is_damaged_or_gone_is_said_in_seconds_and_the_rest_goes_out(
    held: Held, tmp_path: Path
) -> None:
    store = held.custody.store
    before = dict(store.objects)
    (key, *_) = sorted(k for k in before if k.startswith("footage/") and ".mp4." in k)
    try:
        data = bytearray(before[key])
        data[len(data) // 2 : len(data) // 2 + (64 << 10)] = bytes(64 << 10)
        store.objects[key] = bytes(data)
        made, _ = package(held, tmp_path / "damaged")
        assert made.films[0].exists()
        assert "pictures) of 1" in made.missing[0]
        assert made.problems[0] == made.missing[0]
        html = (tmp_path / "damaged" / "report.html").read_text()
        assert made.missing[0] in html
        del store.objects[key]
        made, _ = package(held, tmp_path / "gone")
        assert "are missing" in made.missing[0]
        for other in [k for k in store.objects if k.startswith("footage/")]:
            del store.objects[other]
        with pytest.raises(CustodyError, match="Nothing of"):
            package(held, tmp_path / "all")
        assert not (tmp_path / "all").exists()
    finally:
        store.objects = before


# --- what a package proves ------------------------------------------------------------------------


def test_each_kind_of_package_gets_its_answer(held: Held, disclosed: Any, tmp_path: Path) -> None:
    roots = [held.agency.root]
    package(held, tmp_path / "whole")
    told = verify_package(tmp_path / "whole", roots)
    assert told.problems == []
    assert told.exceptions == ["nobody outside the agency has seen custody's lines"]
    assert (told.recording, told.disclosed_by) == (held.name, "Dora")
    package(held, tmp_path / "excerpt", from_s=3.4, to_s=6.2)
    assert verify_package(tmp_path / "excerpt", roots).problems == []
    both = verify_package(disclosed.folder, roots)
    assert both.problems == []
    assert any("a redacted copy" in exception for exception in both.exceptions)


def test_an_officer_is_told_what_its_reader_will_read(agency: BenchAgency, tmp_path: Path) -> None:
    """A camera that signs no pictures: a whole recording is vouched for by its sealed originals, an
    excerpt by nobody."""
    unsigned = recorded(agency, sign_video=False)
    whole, _ = package(unsigned, tmp_path / "whole")
    assert whole.verdict.answer is Answer.EXCEPTION
    excerpt, _ = package(unsigned, tmp_path / "excerpt", from_s=2, to_s=5)
    assert excerpt.verdict.answer is Answer.NOT_GENUINE
    assert "nothing in it is signed" in excerpt.verdict.problems[0]
    assert excerpt.problems == []


def test_a_package_with_a_witness_is_genuine_and_complete(witnessed: Held, tmp_path: Path) -> None:
    package(witnessed, tmp_path / "p")
    told = verify_package(tmp_path / "p", [witnessed.agency.root])
    assert (told.answer, told.exceptions) == (Answer.GENUINE, [])
    stranger = verify_package(tmp_path / "p", [BenchAgency("another").root])
    assert stranger.answer is Answer.NOT_GENUINE


def test_nobody_elses_business_is_in_a_package(held: Held, tmp_path: Path) -> None:
    """Neither other recordings' lines nor what the public asked for."""
    store = held.custody.store
    before = dict(store.objects)
    try:
        clerk = held.custody.session("Ada", "custodian")
        now_ns = clerk.now_ns()
        details = public_requests.RequestDetails(
            law.SUBJECT_ACCESS, b"I was at the bus stop", "letter.txt",
            clerk.retention.day(now_ns), now_ns, now_ns, now_ns, "Mare Street", "in a red coat",
        )  # fmt: skip
        clerk.index.catch_up()
        public_requests.open_request(clerk, details)
        package(held, tmp_path / "p")
        content = b"".join(p.read_bytes() for p in (tmp_path / "p").rglob("*") if p.is_file())
        assert b"Mare Street" not in content
        assert b"red coat" not in content
        assert b'"kind":"request"' not in content
    finally:
        store.objects = before


@pytest.fixture(scope="module")
def witnessed(agency: BenchAgency) -> Held:
    """A recording in a store whose lines a witness has seen."""
    return recorded(agency, witnessed=True)


REMOVED = ("SHA256SUMS.sig", "SHA256SUMS", "report.html", "proof/custody.json", "{stem}.mp4",
           "proof/sealed/{stem}-0001.mp4.age", "proof/keys.json",
           "proof/camera.ledger")  # fmt: skip


@pytest.mark.parametrize("name", REMOVED)
def test_what_is_removed_or_swapped_is_never_genuine(
    witnessed: Held, tmp_path: Path, name: str
) -> None:
    out, roots = tmp_path / "p", [witnessed.agency.root]
    package(witnessed, out)
    path = out / name.format(stem=witnessed.name.split("/")[1])
    content = path.read_bytes()
    path.unlink()
    if name == "SHA256SUMS":
        with pytest.raises(VaultError, match="is not a package"):
            verify_package(out, roots)
    else:
        assert verify_package(out, roots).answer is Answer.NOT_GENUINE
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert verify_package(out, roots).answer is Answer.NOT_GENUINE
    path.write_bytes(content)
    assert verify_package(out, roots).answer is Answer.GENUINE
    (out / "note.txt").write_text("believe me")
    assert verify_package(out, roots).answer is Answer.NOT_GENUINE


def test_another_film_in_a_package_that_is_summed_anew_is_not_genuine(
    witnessed: Held, tmp_path: Path
) -> None:
    """What `sha256sum -c` calls OK."""
    out = tmp_path / "p"
    made, _ = package(witnessed, out)
    made.films[0].write_bytes(b"another film")
    sums = "".join(
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(out)}\n"
        for p in sorted(out.rglob("*")) if p.is_file() and "SHA256SUMS" not in p.name
    )  # fmt: skip
    (out / "SHA256SUMS").write_text(sums)
    told = verify_package(out, [witnessed.agency.root])
    assert "SHA256SUMS is not the list that was signed" in told.problems


def test_drawn_changes_of_a_package_are_never_genuine(witnessed: Held, tmp_path: Path) -> None:
    out, draws = tmp_path / "p", random.Random(11)
    package(witnessed, out)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    for _ in range(60):
        path = draws.choice(files)
        content = path.read_bytes()
        changed = bytearray(content)
        changed[draws.randrange(len(changed))] ^= 1 << draws.randrange(8)
        path.write_bytes(changed)
        assert verify_package(out, [witnessed.agency.root]).answer is not Answer.GENUINE, path
        path.write_bytes(content)


def test_the_command_says_the_answer(witnessed: Held, tmp_path: Path) -> None:
    package(witnessed, tmp_path / "p")
    (tmp_path / "root.pem").write_bytes(witnessed.agency.files[keys.ROOT])
    words = ("custody", "verify-package", tmp_path / "p", "--root", tmp_path / "root.pem")
    done = bwv(*words)
    assert done.returncode == 0, done.stderr
    assert "p: genuine and complete" in done.stdout
    (tmp_path / "p" / "report.html").write_text("another")
    done = bwv(*words)
    assert done.returncode == 10
    assert "report.html was changed" in done.stdout


# --- content credentials --------------------------------------------------------------------------


def boxes(data: bytes) -> dict[bytes, tuple[int, int]]:
    """The first box of each kind at the top, from and to."""
    found: dict[bytes, tuple[int, int]] = {}
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        size = int.from_bytes(data[at + 8 : at + 16], "big") if size == 1 else size
        found.setdefault(data[at + 4 : at + 8], (at, at + size))
        at += size
    return found


@pytest.fixture(scope="module")
def disclosed(held: Held, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A film with its redacted copy."""
    out = tmp_path_factory.mktemp("credentials") / "package"
    redaction = Redaction("pixelate", [RedactionBox(0, 4, 10, 10, 60, 60)], [])
    wishes = {"redaction": redaction, "confirmed_by": "Dora", "with_original": True}
    return package(held, out, **wishes)[0]


def test_each_film_that_leaves_says_what_it_is(held: Held, disclosed: Any) -> None:
    root = held.agency.files[keys.ROOT].decode()
    (film,), (covered,) = disclosed.films, disclosed.redacted
    assert state(film, root) == state(covered, root) == "Trusted"
    assert disclosed.confined
    stranger = BenchAgency("another").files[keys.ROOT].decode()
    assert state(film, stranger) == "Valid", "signed, by somebody whom nobody vouches for"
    for path, actions in (
        (film, ["c2pa.opened", "c2pa.repackaged"]),
        (covered, ["c2pa.opened", "c2pa.filtered", "c2pa.transcoded"]),
    ):
        with path.open("rb") as file:
            told = json.loads(c2pa.Reader("video/mp4", file).json())
        manifest = told["manifests"][told["active_manifest"]]
        said = {a["label"]: a["data"] for a in manifest["assertions"]}
        assert [a["action"] for a in said["c2pa.actions.v2"]["actions"]] == actions
        evidence = said["org.bwv-device.evidence"]
        assert evidence["recording"] == held.name
        assert evidence["redacted"] is (path == covered)
        sealed = [s["sha256"] for s in evidence["segments"]]
        rows = held.custody.session("a", "auditor")
        rows.index.catch_up()
        known = rows.index.rows("SELECT sha256 FROM files WHERE segment LIKE '%.mp4.age'")
        assert sorted(sealed) == sorted(row["sha256"] for row in known)
        (source,) = manifest["ingredients"]
        assert held.name in source["title"]
        assert "data" not in source


def test_no_flipped_bit_of_film_sound_or_times_is_trusted(held: Held, disclosed: Any) -> None:
    root, (film,) = held.agency.files[keys.ROOT].decode(), disclosed.films
    data, draws = film.read_bytes(), random.Random(5)
    places = boxes(data)
    changed = film.with_name("changed.mp4")
    for kind, count in ((b"mdat", 30), (b"moov", 30)):
        first, last = places[kind]
        for _ in range(count):
            flipped = bytearray(data)
            flipped[draws.randrange(first + 8, last)] ^= 1 << draws.randrange(8)
            changed.write_bytes(flipped)
            assert state(changed, root) == "Invalid"
    changed.write_bytes(data)
    assert state(changed, root) == "Trusted", "the same look at what was not changed"
    changed.unlink()


def test_the_cameras_own_signatures_are_still_there(held: Held, disclosed: Any) -> None:
    (film,) = disclosed.films
    assert judge_film(film, [held.agency.root]).answer is Answer.GENUINE
    assert len(frames(film)) > 90
    sidecar = json.loads(film.with_suffix(".json").read_text())
    assert sidecar["sha256"] == hashlib.sha256(film.read_bytes()).hexdigest()
    (covered,) = disclosed.redacted
    assert judge_film(covered, [held.agency.root]).answer is Answer.NOT_GENUINE


def test_another_roles_key_makes_no_manifest(held: Held, disclosed: Any, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(disclosed.films[0].read_bytes())
    before = film.read_bytes()
    made = MadeOf(held.name, {}, {}, ["c2pa.repackaged"])
    custodian = held.custody.session("Ada", "custodian").signer
    with pytest.raises(CustodyError, match="gets no manifest"):
        embed(film, made, custodian, held.agency.files[keys.ROOT], tmp_path)
    assert film.read_bytes() == before


# --- who signs a package is not believed either -----------------------------------------------


def signed_anew(held: Held, out: Path) -> None:
    """By a disclosing officer who is not honest."""
    signer = held.custody.session("Dora", "disclosure").signer
    sums = "".join(
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(out)}\n"
        for p in sorted(out.rglob("*")) if p.is_file() and "SHA256SUMS" not in p.name
    )  # fmt: skip
    (out / "SHA256SUMS").write_text(sums)
    before = statement.of_role(
        (out / "SHA256SUMS.sig").read_bytes(), PackageStatement, ("disclosure",), ()
    ).value
    films = [
        dataclasses.asdict(film)
        | {"sha256": hashlib.sha256((out / film.name).read_bytes()).hexdigest()}
        for film in before.films
    ]
    said = {
        **{name: getattr(before, name) for name in ("store", "device", "recording", "utc_ns")},
        "films": films,
        "sealed": [dataclasses.asdict(segment) for segment in before.sealed],
        "sums": hashlib.sha256(sums.encode()).hexdigest(),
    }
    (out / "SHA256SUMS.sig").write_bytes(statement.make(signer, PACKAGE, said))


JUNK: dict[str, Any] = {
    "nothing": {},
    "numbers for lines": {"lines": [5], "others": [], "checkpoint": "", "trust": ""},
    "no lines": {"lines": None, "others": [], "checkpoint": "", "trust": ""},
    "a number for a list": {"lines": [], "others": [], "checkpoint": "", "trust": 5},
}


@pytest.mark.parametrize("name", JUNK)
def test_signed_junk_is_an_answer(witnessed: Held, tmp_path: Path, name: str) -> None:
    out = tmp_path / "p"
    package(witnessed, out)
    (out / "proof" / "custody.json").write_bytes(canonical_json.encode(JUNK[name]))
    signed_anew(witnessed, out)
    told = verify_package(out, [witnessed.agency.root])
    assert told.answer is Answer.NOT_GENUINE
    assert "can't be judged" in told.problems[-1]


def test_what_is_no_file_is_not_opened(witnessed: Held, tmp_path: Path) -> None:
    """A pipe would never end."""
    out = tmp_path / "p"
    package(witnessed, out)
    (out / "proof" / "camera.ledger").unlink()
    os.mkfifo(out / "proof" / "camera.ledger")
    told = verify_package(out, [witnessed.agency.root])
    assert "proof/camera.ledger is no file of its own" in told.problems


def test_an_end_that_was_left_out_is_told(witnessed: Held, tmp_path: Path) -> None:
    """The camera said how many segments there are."""
    out = tmp_path / "p"
    package(witnessed, out)
    ledger = out / "proof" / "camera.ledger"
    lines = ledger.read_bytes().splitlines(keepends=True)
    last = f"{witnessed.name.split('/')[1]}-0002.mp4.age".encode()
    assert any(last in line for line in lines)
    ledger.write_bytes(b"".join(line for line in lines if last not in line))
    signed_anew(witnessed, out)
    told = verify_package(out, [witnessed.agency.root])
    assert "the camera says that it sealed 2 segments, and its lines name 1" in told.problems
    ledger.write_bytes(b"".join(line for line in lines if b'"close"' not in line))
    signed_anew(witnessed, out)
    told = verify_package(out, [witnessed.agency.root])
    assert told.answer is Answer.EXCEPTION
    assert told.exceptions == ["no line says that the recording ended"]


def test_pictures_of_another_time_are_not_this_recordings(witnessed: Held, tmp_path: Path) -> None:
    out = tmp_path / "p"
    package(witnessed, out)
    recording = witnessed.name.split("/")[1]
    data = (out / "proof" / "camera.ledger").read_bytes()
    lines = read_camera_lines(data, recording, [witnessed.agency.root])
    (begin, _), (_, end) = min(lines.times.values()), max(lines.times.values())
    assert lines.covers(begin, end, 0)
    for first, last in ((begin - 1, end), (begin, end + 1), (end + 1, end + 2)):
        assert not lines.covers(first, last, 0)


def test_a_revoked_key_discloses_nothing(witnessed: Held, tmp_path: Path) -> None:
    out = tmp_path / "p"
    package(witnessed, out)
    told = PackageVerdict()
    data = (out / "SHA256SUMS.sig").read_bytes()
    said = statement.of_role(data, PackageStatement, ("disclosure",), ())
    trust = read_trust_list(
        canonical_json.decode((out / "proof" / "custody.json").read_bytes())["trust"],
        [witnessed.agency.root],
    )
    revoked = Revoked(statement.fingerprint(said.chain[0]), said.value.utc_ns, "lost")
    require_standing(said.chain[0], said.value.utc_ns, trust, told)
    assert told.problems == []
    require_standing(said.chain[0], said.value.utc_ns, trust._replace(revoked=(revoked,)), told)
    assert told.problems == ["the certificate of who disclosed it was revoked"]


# --- whom a part of a recording tells nothing -------------------------------------------------


def test_an_excerpt_that_ends_with_a_segment_is_genuine(witnessed: Held, tmp_path: Path) -> None:
    made, _ = package(witnessed, tmp_path / "p", from_s=0, to_s=10)
    (film,) = made.films
    assert judge_film(film, [witnessed.agency.root]).answer is Answer.GENUINE
    assert verify_package(tmp_path / "p", [witnessed.agency.root]).problems == []


def test_who_looked_and_who_asked_stays_with_the_agency(witnessed: Held, tmp_path: Path) -> None:
    custodian = witnessed.custody.session("Ada", "custodian")
    holds.place(custodian, witnessed.name, "a complaint about PC Smith", "IA-77")
    package(witnessed, tmp_path / "whole")
    package(witnessed, tmp_path / "part", from_s=0, to_s=5)
    for name in ("whole", "part"):
        for path in (tmp_path / name).rglob("*"):
            content = path.read_bytes() if path.is_file() and path.name != "report.pdf" else b""
            assert b"PC Smith" not in content, path
            assert b"IA-77" not in content, path
    kinds = {
        json.loads(line["line"].split("\t")[0])["kind"]
        for line in json.loads((tmp_path / "part" / "proof" / "custody.json").read_text())["lines"]
    }
    assert "hold" in kinds
    assert not kinds & {"disclosed", "exported", "viewed"}


def test_a_film_with_another_track_of_pictures_is_no_film(witnessed: Held, tmp_path: Path) -> None:
    """Players choose one of them."""
    made, _ = package(witnessed, tmp_path / "p")
    two = tmp_path / "two.mp4"
    with av.open(str(made.films[0])) as source, av.open(str(two), "w") as target:
        video = source.streams.video[0]
        tracks = [target.add_stream_from_template(video) for _ in range(2)]
        packets = [p for p in source.demux(video) if p.dts is not None]
        for packet in packets:
            for track in tracks:
                copy = av.Packet(bytes(packet))
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.stream = track
                target.mux(copy)
    with pytest.raises(ClipError, match="2 tracks of pictures"):
        judge_film(two, [witnessed.agency.root])
    with pytest.raises(ValueError, match="not one track of pictures"):
        list(second_video_verifier.nal_units(two.read_bytes()))


def test_a_recording_of_two_films_is_not_redacted_by_the_times_of_one(tmp_path: Path) -> None:
    films = [Exported(tmp_path / f"{n}.mp4", "r", 100, 100, 10_000, ["sealed"]) for n in (1, 2)]
    require_one_film(films[:1])
    with pytest.raises(CustodyError, match="comes as 2 films"):
        require_one_film(films)
    wish = DisclosureRequest(
        "camera/1", "The Crown Court", "case", redaction=Redaction("blur", [], [(0, 1)]),
        confirmed_by="Dora",
    )  # fmt: skip
    opened = Opened(Report(), films, Survey(Report(), []), [], {}, [])
    package_films = PackageFilms(
        wish, opened, Package(tmp_path), tmp_path, lambda what, share: None
    )
    with pytest.raises(CustodyError, match="comes as 2 films"):
        package_films.write()


def test_a_file_in_the_packages_place_is_a_sentence(held: Held, tmp_path: Path) -> None:
    (tmp_path / "p").write_text("mine")
    with pytest.raises(CustodyError, match="no empty folder"):
        package(held, tmp_path / "p")
    assert (tmp_path / "p").read_text() == "mine"
