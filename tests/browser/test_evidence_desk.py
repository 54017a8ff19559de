"""The evidence desk in a real browser, over an agency that runs beside it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect
from support.browser import chromium, until, violations
from support.evidence_desk import WIDE, Person, example
from support.warm_bwv import bwv

from bwv_device import keys
from bwv_device.custody.key_desk.looking import AgencyKeys
from bwv_device.custody.key_desk.open_recording import open_recording
from bwv_device.formats import age, statement
from bwv_device.formats.grammar.purposes import RENDER_QUESTION
from bwv_device.verification.package_verifier import verify_package
from bwv_device.verification.video_signatures import Answer
from sim.desk.clerk import certify
from sim.desk.example import EvidenceDeskExample
from sim.desk.weeks import LETTER

FRONT, SECOND = "cam-101/00000001-0001", "cam-101/00000001-0002"
SIDE, OLD = "cam-202/00000001-0001", "cam-303/00000001-0001"
NOT_DELIVERED = "cam-202/00000001-0002"
LONG = 20_000
SCREENS = Path(os.environ.get("BWV_SCREENS", ".cache/screens")).resolve()
STEPS = int(os.environ.get("BWV_STEPS", "25"))
Desk = tuple[EvidenceDeskExample, str]
expect.set_options(timeout=LONG)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with example(tmp_path_factory.mktemp("desk") / "example") as made:
        yield made


def enrolled(browser: Browser, desk: Desk, name: str, role: str) -> Iterator[Person]:
    person = Person(browser, *desk, name, role)
    person.enrol()
    yield person
    person.end()
    # An act that is refused is an answer of 422, a store that is away one of 503: Chromium says so.
    said = [c for c in person.watched.complaints if not re.search("status of (422|503)", c)]
    assert said == []
    assert all(a.startswith((person.url, "blob:", "data:")) for a in person.watched.asked)


@pytest.fixture(scope="module")
def ada(browser: Browser, desk: Desk) -> Iterator[Person]:
    yield from enrolled(browser, desk, "Ada Okafor", "custodian")


@pytest.fixture(scope="module")
def ben(browser: Browser, desk: Desk) -> Iterator[Person]:
    yield from enrolled(browser, desk, "Ben Musa", "reviewer")


@pytest.fixture(scope="module")
def eve(browser: Browser, desk: Desk) -> Iterator[Person]:
    person = Person(browser, *desk, "Eve Stone", "custodian")
    person.enrol()
    yield person
    person.end()


@pytest.fixture
def lied_to(eve: Person) -> Iterator[Person]:
    """Somebody whose desk may lie to them."""
    yield eve
    eve.page.unroute_all()
    eve.goes_to("inbox").reload()


def lies(person: Person, path: str, change: Callable[[Any], Any]) -> None:
    """What the desk answers at a path is changed on its way."""

    def changed(route: Route) -> None:
        answer = route.fetch()
        said = change(answer.json())
        route.fulfill(response=answer, body=json.dumps(said))

    person.page.route(re.compile(rf"/api/{path}(\?|$)"), changed)


def picture(page: Page) -> Locator:
    return page.locator("video")


def ready(page: Page) -> None:
    """A picture is shown."""
    until(page, "document.querySelector('video')?.dataset.shown !== undefined")


def badge(page: Page) -> Locator:
    return page.get_by_role("status", name="Verdict")


def shown(page: Page, name: str) -> None:
    """A picture for the documents."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.evaluate("scrollTo(0, 0)")  # the page's head would stand in the middle of its picture
    page.wait_for_timeout(300)
    page.screenshot(path=SCREENS / f"desk-{name}.png", full_page=True)


# --- looking ----------------------------------------------------------------------------------


def test_the_inbox_shows_what_waits(ada: Person) -> None:
    page = ada.goes_to("inbox")
    expect(page.get_by_text("subject-access, Mare Street")).to_be_visible()
    expect(page.get_by_text("proposed by Ruth Bell")).to_be_visible()
    expect(page.get_by_text("its bytes do not have the digest announced")).to_be_visible()
    expect(page.get_by_text(f"{NOT_DELIVERED}: 1 file never came")).to_be_visible()
    expect(page.get_by_text("cam-303, issued to PC 303 Diaz")).to_be_visible()
    shown(page, "inbox")


def test_recordings_are_found_by_what_is_known_of_them(ada: Person) -> None:
    page = ada.goes_to("search")
    rows = page.get_by_role("region", name="Recordings").get_by_role("link")
    expect(rows).to_have_count(5)
    page.get_by_label("Officer").fill("PC 202 Moore")
    page.get_by_role("button", name="Search").click()
    expect(rows).to_have_count(2)
    page.get_by_label("Marker").select_option("moment")
    page.get_by_role("button", name="Search").click()
    expect(rows).to_have_text([SIDE])
    page.get_by_label("Officer").fill("")
    page.get_by_label("Marker").select_option("")
    page.get_by_label("Name, case or reason").fill("Doe")
    page.get_by_role("button", name="Search").click()
    expect(rows.filter(has_text=FRONT)).to_be_visible()
    page.get_by_label("Name, case or reason").fill("")
    page.get_by_label("From").fill("2031-01-01T00:00")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("0 recordings.")).to_be_visible()


def test_a_film_is_watched_and_every_part_is_what_the_camera_signed(ada: Person) -> None:
    page = ada.watches(FRONT, "a complaint")
    ready(page)
    expect(badge(page)).to_contain_text("Every segment is what the camera signed.")
    expect(page.get_by_text(re.compile(r"That you look is line [1-9]"))).to_be_visible()
    for lane in ("before the press", "red light", "beeps", "markers", "muted"):
        expect(page.get_by_text(lane, exact=True)).to_be_visible()
    page.keyboard.press("k")
    until(page, "document.querySelector('video').currentTime > 1")
    page.keyboard.press("k")
    until(page, "document.querySelector('video').paused")
    page.get_by_role("button", name="Show the picture").click()
    still = page.get_by_alt_text(re.compile("Picture taken at"))
    expect(still).to_be_visible()
    until(page, "document.querySelector('.stills img').naturalWidth === 640")
    shown(page, "recording")
    index = ada.example.agency.session("Ruth Bell", "custodian").index
    index.catch_up()
    looks = index.rows("SELECT * FROM views WHERE recording = ?", FRONT)
    assert [look["person"] for look in looks] == ["ada okafor"]


def test_what_is_being_typed_stays_while_the_film_plays(ada: Person) -> None:
    page = ada.watches(SECOND)
    ready(page)
    page.get_by_label("Category").select_option("training")
    page.get_by_label("Hold it: reason").fill("half a sent")
    page.get_by_role("button", name="Play or pause").click()
    until(page, "document.querySelector('video').currentTime > 1.5")
    assert page.get_by_label("Category").input_value() == "training"
    assert page.get_by_label("Hold it: reason").input_value() == "half a sent"


def test_each_step_is_the_next_picture(ada: Person, tmp_path: Path) -> None:
    """Held against PyAV, which decodes what the agency's own identity opens."""
    truth = pictures_of(ada.example, SECOND, tmp_path)
    page = ada.watches(SECOND)
    ready(page)
    page.keyboard.press("Home")
    first = nearest(grabbed(page), truth, range(len(truth)))
    assert first == 0
    at = 0
    for _ in range(STEPS):
        page.keyboard.press("ArrowRight")
        at = stepped(page, truth, at, at + 1)
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
        at = stepped(page, truth, at, at - 1)
    assert at == STEPS - 5


def stepped(page: Page, truth: list[npt.NDArray[np.uint8]], before: int, after: int) -> int:
    """Waits for the next picture; which one it is."""
    for _ in range(200):
        near = range(max(0, before - 3), min(len(truth), before + 4))
        if nearest(grabbed(page), truth, near) == after:
            return after
        page.wait_for_timeout(20)
    raise AssertionError(f"{before} is followed by {nearest(grabbed(page), truth, near)}")


def grabbed(page: Page) -> npt.NDArray[np.uint8]:
    """What the video element shows, in grey."""
    pixels = page.evaluate(
        """() => { const v = document.querySelector('video'), c = new OffscreenCanvas(320, 180);
        const x = c.getContext('2d'); x.drawImage(v, 0, 0, 320, 180);
        const d = x.getImageData(0, 0, 320, 180).data, out = [];
        for (let n = 0; n < d.length; n += 4) out.push((d[n] * 3 + d[n+1] * 6 + d[n+2]) / 10 | 0);
        return out; }"""
    )
    return np.array(pixels, np.uint8).reshape(180, 320)


def nearest(seen: npt.NDArray[np.uint8], truth: list[Any], among: range) -> int:
    def differs(number: int) -> float:
        return float(np.abs(truth[number].astype(int) - seen.astype(int)).mean())

    return min(among, key=differs)


def pictures_of(
    it: EvidenceDeskExample, recording: str, folder: Path
) -> list[npt.NDArray[np.uint8]]:
    session = it.agency.session("Dora Lee", "disclosure")
    identities = keys.load_identities(it.agency.keys / keys.IDENTITY)
    opened = open_recording(
        session, it.agency.roots, AgencyKeys(session, identities), recording, folder, "a test"
    )
    found = []
    for film in opened.films:
        with av.open(str(film.path)) as container:
            for frame in container.decode(video=0):
                small = frame.reformat(320, 180, "rgb24").to_ndarray().astype(int)
                grey = (small[..., 0] * 3 + small[..., 1] * 6 + small[..., 2]) // 10
                found.append(grey.astype(np.uint8))
    return found


def test_a_film_that_is_not_whole_says_so(ada: Person) -> None:
    page = ada.goes_to("recording", NOT_DELIVERED)
    expect(badge(page)).to_contain_text("is missing from the store")
    expect(badge(page)).to_have_attribute("data-state", "false")


# --- acts -------------------------------------------------------------------------------------


def test_what_is_signed_is_shown_in_words_and_counts(ada: Person) -> None:
    page = ada.goes_to("recording", SECOND)
    page.get_by_label("Hold it: reason").fill("a complaint about an officer")
    page.get_by_role("button", name="Hold…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Hold {SECOND}")
    shown(page, "act")
    said = ada.signs()
    assert "a complaint about an officer" in said
    assert "Ada Okafor (custodian)" in said
    expect(page.get_by_text("a complaint about an officer (in force)")).to_be_visible()
    session = ada.example.agency.session("Ruth Bell", "custodian")
    (hold,) = session.held(SECOND)
    assert hold["reason"] == "a complaint about an officer"
    page.get_by_label("Category").select_option("complaint")
    page.get_by_role("button", name="Set the category…").click()
    ada.signs()
    expect(page.get_by_text("· complaint ·")).to_be_visible()


def test_a_release_takes_two_people_and_waits_in_the_others_inbox(ada: Person, ben: Person) -> None:
    page = ada.goes_to("recording", SECOND)
    hold = page.get_by_role("listitem").filter(has_text="a complaint about an officer (in force)")
    hold.get_by_label("Reason").fill("nothing came of it")
    hold.get_by_role("button", name="Propose to release…").click()
    ada.signs()
    expect(page.get_by_text("somebody else must approve it")).to_be_visible()
    expect(ada.goes_to("inbox").get_by_text("(somebody else must approve it)")).to_be_visible()
    page = ben.goes_to("inbox")
    row = page.get_by_role("listitem").filter(has_text=SECOND).filter(has_text="proposed by")
    row.get_by_role("button", name="Approve the release…").click()
    assert "You are the second person" in ben.signs()
    expect(row).to_have_count(0)
    assert not ada.example.agency.session("Ruth Bell", "custodian").held(SECOND)


def test_who_may_not_is_told_why(ben: Person) -> None:
    page = ben.goes_to("inbox")
    page.get_by_role("button", name="I look at it…").click()
    expect(page.get_by_role("alert")).to_contain_text("this needs custodian")


def test_a_request_is_searched_for_and_answered(ada: Person) -> None:
    page = ada.goes_to("requests")
    page.get_by_role("link", name=re.compile(r"-00001$")).click()
    expect(page.get_by_role("heading", name=re.compile("Request"))).to_be_visible()
    page.get_by_role("button", name="Open the letter").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save the letter").click()
    assert download.value.path().read_bytes() == LETTER
    page.get_by_role("button", name="Certify the search…").click()
    assert FRONT in ada.signs()
    expect(page.get_by_text("Searched 1 times")).to_be_visible()
    page.locator("select[name=outcome]").select_option("disclosed")
    page.get_by_role("button", name="Close the request…").click()
    ada.signs()
    expect(page.get_by_text("disclosed", exact=True).first).to_be_visible()
    page = ada.goes_to("requests")
    page.get_by_label("Letter (a file)").set_input_files(
        {"name": "letter.txt", "mimeType": "text/plain", "buffer": b"Please show me the footage."}
    )
    day = page.get_by_label("Received on").input_value()
    page.get_by_label("When it happened").fill(f"{day}T00:00")
    page.get_by_label("Place").fill("Mare Street")
    page.get_by_label("What happened").fill("I was spoken to")
    page.get_by_role("button", name="Open the request…").click()
    said = ada.signs()
    assert "Answer due" in said
    assert "letter.txt" in said
    expect(page.get_by_role("link", name=re.compile(r"-00002$"))).to_be_visible()
    shown(page, "requests")


def test_reading_the_history_is_a_line_too(ada: Person) -> None:
    page = ada.goes_to("audit")
    page.get_by_label("Recording").fill(FRONT)
    page.get_by_role("button", name="Read the history…").click()
    assert "You read the history" in ada.signs()
    expect(page.get_by_text(re.compile("That you read this is line"))).to_be_visible()
    expect(page.get_by_role("region", name="Looks")).to_contain_text("a complaint")
    shown(page, "audit")
    index = ada.example.agency.session("Ruth Bell", "custodian").index
    index.catch_up()
    (line,) = index.lines("kind = 'audit-read'")
    assert (line["recording"], line["name"]) == (FRONT, "Ada Okafor")


def test_two_act_at_once_and_both_count(ada: Person, ben: Person) -> None:
    pages = [person.goes_to("recording", OLD) for person in (ada, ben)]
    for page, words in zip(pages, ("first", "second"), strict=True):
        page.get_by_label("Review: what does it show?").fill(words)
        page.get_by_role("button", name="Write it down…").click()
        expect(page.get_by_role("dialog")).to_be_visible()
    for person in (ada, ben):
        person.signs()
    index = ada.example.agency.session("Ruth Bell", "custodian").index
    index.catch_up()
    said = [line["words"] for line in index.lines("kind = 'review'")]
    assert said[-2:] == ["first", "second"]
    assert index.rows("SELECT * FROM problems WHERE problem LIKE '%review%'") == []


def test_cases_cameras_and_several_films_on_one_clock(ada: Person) -> None:
    page = ada.goes_to("cameras")
    expect(page.get_by_role("region", name="Cameras")).to_contain_text("PC 101 Singh")
    shown(page, "cameras")
    page = ada.goes_to("cases")
    page.get_by_role("link", name="R v Doe 26/114").click()
    expect(page.get_by_text("Ruth Bell").first).to_be_visible()
    shown(page, "case")
    page.get_by_role("link", name="Watch side by side").click()
    page.get_by_label("Why do you look?").fill("both views")
    page.get_by_role("button", name="Watch").click()
    expect(page.locator("video")).to_have_count(2)
    until(page, "[...document.querySelectorAll('video')].every(v => v.readyState >= 2)")
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "[...document.querySelectorAll('video')].every(v => v.currentTime > 2)")
    page.get_by_role("button", name="Pause").click()
    shown(page, "side-by-side")


def test_a_sample_is_drawn_by_what_a_witness_signed(ben: Person) -> None:
    page = ben.goes_to("scrutiny")
    page.get_by_label("How many").fill("3")
    page.get_by_role("button", name="Draw a sample").click()
    rows = page.get_by_role("region", name="Recordings").get_by_role("link")
    expect(rows).to_have_count(3)
    expect(page.get_by_text("3 of 4 recordings, by the seed")).to_be_visible()
    drawn = rows.all_inner_texts()
    page.get_by_label("Seed").fill("of a newspaper")
    page.get_by_role("button", name="Draw a sample").click()
    expect(page.get_by_text("by the seed of a newspaper")).to_be_visible()
    names = (FRONT, SECOND, SIDE, NOT_DELIVERED)
    least = sorted(names, key=lambda n: sha256(f"of a newspaper\n{n}".encode()).hexdigest())
    assert rows.all_inner_texts() == least[:3]
    assert len(set(drawn)) == 3
    lies(ben, "scrutiny", lambda said: {**said, "recordings": said["recordings"][::-1]})
    page.get_by_role("button", name="Draw a sample").click()
    expect(page.get_by_role("alert")).to_contain_text("drawn other recordings than the seed")
    page.unroute_all()


# --- disclosing -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dora(browser: Browser, desk: Desk) -> Iterator[Person]:
    yield from enrolled(browser, desk, "Dora Lee", "disclosure")


def opens_the_editor(person: Person, recording: str) -> Page:
    page = person.watches(recording, "to be disclosed")
    ready(page)
    page.get_by_text("Cover parts of it, and give it to somebody").click()
    return page


def test_a_package_is_ordered_signed_here_and_genuine(dora: Person, tmp_path: Path) -> None:
    page = opens_the_editor(dora, SECOND)
    page.get_by_label("To whom").fill("Crown Prosecution Service")
    page.get_by_label("Reason for giving it").fill("R v Doe")
    page.get_by_role("button", name="Order the package").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible(timeout=60_000)
    said = dora.signs()
    assert f"Give {SECOND} to Crown Prosecution Service" in said
    assert "each as the line names it" in said
    expect(page.get_by_text("Whoever checks it reads: genuine and complete.")).to_be_visible(
        timeout=60_000
    )
    package = saved(page, tmp_path)
    verdict = verify_package(package, dora.example.agency.roots)
    assert (verdict.answer, verdict.problems) == (Answer.GENUINE, [])
    index = dora.example.agency.session("Ruth Bell", "custodian").index
    index.catch_up()
    (line,) = index.lines("kind = 'disclosed'")
    assert (line["name"], line["recipient"]) == ("Dora Lee", "Crown Prosecution Service")
    *_, look = index.lines("kind = 'viewed' AND n < ?", line["n"])
    assert (look["person"], look["acts_as"]) == ("renderer service", "renderer")
    assert look["reason"] == "dora lee: R v Doe"


def saved(page: Page, folder: Path) -> Path:
    page.get_by_role("button", name="Open the package").first.click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save the package").click()
    package = folder / "package"
    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(package)
    return package


def test_a_covered_copy_takes_a_second_person(dora: Person, ben: Person, tmp_path: Path) -> None:
    page = opens_the_editor(dora, SECOND)
    for _ in range(11):  # behind the press: sound begins there
        page.keyboard.press(".")
    page.get_by_role("button", name="Draw boxes on the picture").click()
    page.locator(".overlay").scroll_into_view_if_needed()
    box = page.locator(".overlay").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.25)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.75, steps=4)
    page.mouse.up()
    expect(page.get_by_text("1 parts of the picture and 0 spans of sound")).to_be_visible()
    page.get_by_text("Change box 1").click()
    page.get_by_label("to", exact=True).fill("13")
    page.get_by_label("to", exact=True).press("Tab")
    page.get_by_role("button", name="Silence five seconds from here").click()
    shown(page, "redaction")
    page.get_by_label("To whom").fill("a member of the public")
    page.get_by_label("Reason for giving it").fill("request 2026-00001")
    page.get_by_role("button", name="Order a covered copy").click()
    expect(page.get_by_text("waits for a second person")).to_be_visible()
    other = ben.goes_to("inbox")
    row = other.get_by_role("listitem").filter(has_text="ordered by Dora Lee")
    expect(row).to_contain_text("1 parts of the picture and 1 spans of sound")
    row.get_by_role("button", name="I have looked at it").click()
    expect(row).to_have_count(0)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible(timeout=60_000)
    assert "Ben Musa looked at it too" in dora.signs()
    newest = page.get_by_role("listitem").filter(has_text="Package:").first
    expect(newest).to_contain_text("Whoever checks it reads:", timeout=60_000)
    package = saved(page, tmp_path)
    films = sorted(path.name for path in package.glob("*.mp4"))
    assert films == ["00000001-0002.redacted.mp4"]
    plan = json.loads((package / "00000001-0002.redaction.json").read_text())
    (drawn,) = plan["boxes"]
    assert (round(drawn["x"] / 640, 1), round(drawn["width"] / 640, 1)) == (0.2, 0.2)
    assert drawn["to_s"] == 13


def test_what_to_cover_is_proposed(dora: Person) -> None:
    page = opens_the_editor(dora, SECOND)
    page.get_by_role("button", name="Propose what to cover").click()
    expect(page.get_by_text(re.compile("[0-9]+ boxes proposed"))).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Use the proposal").first.click()
    expect(page.get_by_text("No face was found, which is no proof")).to_be_visible()


def test_no_plaintext_and_no_key_is_in_the_desks_memory(dora: Person, tmp_path: Path) -> None:
    """After films were watched and packages made. What it must know is found, as a control."""
    ready(dora.watches(FRONT))
    it = dora.example
    folder = tmp_path / "opened"
    folder.mkdir()
    session = it.agency.session("Ruth Bell", "custodian")
    identities = keys.load_identities(it.agency.keys / keys.IDENTITY)
    opened = open_recording(
        session, it.agency.roots, AgencyKeys(session, identities), FRONT, folder, "a test"
    )
    film = opened.films[0].path.read_bytes()
    (identity,) = identities
    assert isinstance(identity, age.X25519Identity)
    secret = identity.secret
    pieces = [film[at : at + 48] for at in range(len(film) // 4, len(film) - 48, 40_000)]
    searched = {
        # Not what any file has; nor the camera's certificate, which its pictures bring in text.
        "film": [one for one in pieces if len(set(one)) > 30 and not one.isascii()],
        "file key": list(opened.file_keys().values()),
        "identity": [secret],
    }
    memory = memory_of(it.services.processes["desk"].pid)
    assert FRONT.encode() in memory
    found = {what: [piece for piece in of if piece in memory] for what, of in searched.items()}
    assert found == {"film": [], "file key": [], "identity": []}
    assert len(searched["film"]) > 50
    store = memory_of(it.services.processes["key-desk"].pid)
    assert secret in store, "the key desk has it: it would be found"


def memory_of(pid: int) -> bytes:
    """Everything that a process can write to."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb") as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights, *_ = line.split()
            begin, end = (int(digits, 16) for digits in place.split("-"))
            if "w" not in rights:
                continue
            memory.seek(begin)
            with contextlib.suppress(OSError):
                found.append(memory.read(end - begin))
    return b"".join(found)


# --- a desk that lies -------------------------------------------------------------------------


def test_a_flipped_bit_is_not_shown(lied_to: Person) -> None:
    page = lied_to.page

    def flipped(route: Route) -> None:
        answer = route.fetch()
        body = bytearray(answer.body())
        body[len(body) // 2] ^= 1
        route.fulfill(response=answer, body=bytes(body))

    page.route(re.compile(r"/api/sealed/.*-0002\.mp4\.age"), flipped)
    lied_to.watches(FRONT)
    expect(badge(page)).to_contain_text("0001-0002.mp4.age: a part of the file was changed")
    expect(badge(page)).to_have_attribute("data-state", "false")
    page.keyboard.press("End")
    for _ in range(6):
        page.keyboard.press("j")
    expect(page.get_by_text("It is not shown.")).to_be_visible()
    expect(picture(page)).to_be_hidden()


def test_another_film_under_this_name_is_not_shown(lied_to: Person) -> None:
    page = lied_to.page

    def swapped(route: Route) -> None:
        other = route.request.url.replace("0001-0001.mp4", "0001-0003.mp4")
        route.fulfill(response=route.fetch(url=other))

    page.route(re.compile(r"/api/sealed/.*-0001-0001\.mp4\.age"), swapped)
    lied_to.watches(FRONT)
    expect(badge(page)).to_contain_text("does not begin as the camera signed it")
    expect(picture(page)).to_be_hidden()


def test_a_hold_that_the_desk_hides_is_found(lied_to: Person) -> None:
    lies(lied_to, "recording", lambda said: {**said, "holds": []})
    page = lied_to.goes_to("recording", FRONT)
    expect(badge(page)).to_contain_text(re.compile(r"The desk hides hold \d+"))
    expect(badge(page)).to_have_attribute("data-state", "false")


def test_a_line_that_the_desk_hides_is_found(lied_to: Person) -> None:
    def without(said: Any) -> Any:
        return {**said, "lines": [one for one in said["lines"] if one["kind"] != "review"]}

    lies(lied_to, "recording", without)
    page = lied_to.goes_to("recording", FRONT)
    expect(badge(page)).to_contain_text(re.compile(r"The desk hides line \d+"))


def test_a_changed_line_of_the_ledger_breaks_it(lied_to: Person) -> None:
    def changed(said: Any) -> Any:
        lines = [line.replace('"kind":"hold"', '"kind":"hole"') for line in said["lines"]]
        return {**said, "lines": lines}

    lied_to.forgets_the_ledger()
    lies(lied_to, "ledger", changed)
    page = lied_to.goes_to("recording", FRONT)
    expect(page.get_by_role("alert")).to_contain_text("is not signed by a role of this agency")
    expect(badge(page)).to_have_attribute("data-state", "false")


def test_a_history_that_goes_back_is_found(lied_to: Person) -> None:
    page = lied_to.goes_to("recording", FRONT)
    expect(badge(page)).to_contain_text("Seen by ombudsman.example/witness")
    lies(lied_to, "ledger", lambda said: {"lines": said["lines"][:3], "head": 3})
    page = lied_to.goes_to("recording", SIDE)
    expect(page.get_by_role("alert")).to_contain_text("ends at line 3")


def test_the_newest_lines_that_the_desk_hides_are_found(lied_to: Person) -> None:
    """They were witnessed; only this browser is not shown them."""
    lied_to.forgets_the_ledger()
    lies(lied_to, "ledger", lambda said: {"lines": said["lines"][:10], "head": 10})
    page = lied_to.goes_to("recording", FRONT)
    expect(badge(page)).to_contain_text("hides lines that witnesses have seen")
    expect(badge(page)).to_have_attribute("data-state", "false")
    lied_to.forgets_the_ledger()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda line: line.replace(SECOND, FRONT), "something else than you chose: recording"),
        (lambda line: line.replace('"kind":"hold"', '"kind":"review"'), "you chose: kind"),
        (lambda line: line.replace('"v":2', '"v":2,"zz":1'), "more than you chose: zz"),
        (lambda line: re.sub(r'"body":"."', '"body":"x"', line), "words are not those"),
        (lambda line: re.sub(r'"prev":"[^"]*', f'"prev":"{"0" * 64}', line), "does not continue"),
        (lambda line: re.sub(r'"utc_ns":1', '"utc_ns":2', line), "dated wrongly"),
        (lambda line: re.sub(r'"by":"[0-9a-f]{64}"', f'"by":"{"0" * 64}"', line), "your name"),
    ],
    ids=["other recording", "other act", "more", "other words", "elsewhere", "other day", "other"],
)
def test_a_draft_that_says_something_else_is_not_signed(
    lied_to: Person, change: Callable[[str], str], says: str
) -> None:
    head = lied_to.example.agency.session("Ruth Bell", "custodian").index.catch_up().head.number

    def changed(said: Any) -> Any:
        line = change(said["line"])
        if says == "words are not those":
            return {**said, "body": said["body"].replace("mine", "his")}
        assert line != said["line"]
        return {**said, "line": line}

    lies(lied_to, "acts", changed)
    page = lied_to.goes_to("recording", SECOND)
    page.get_by_label("Hold it: reason").fill("mine")
    page.get_by_role("button", name="Hold…").click()
    expect(page.get_by_role("alert")).to_contain_text(says)
    expect(page.get_by_role("dialog")).to_have_count(0)
    index = lied_to.example.agency.session("Ruth Bell", "custodian").index
    assert index.catch_up().head.number == head


def test_a_hold_of_another_recording_is_not_released(lied_to: Person) -> None:
    """The desk shows a hold under a recording that it is not on, and drafts accordingly."""
    index = lied_to.example.agency.session("Ruth Bell", "custodian").index
    index.catch_up()
    (hold,) = index.rows("SELECT n FROM holds WHERE recording = ? AND case_ != ''", FRONT)
    shown_as = {"n": hold["n"], "reason": "x", "request": "", "proposer": None, "case": "",
                "state": "in force"}  # fmt: skip
    lies(lied_to, "recording", lambda said: {**said, "holds": [shown_as]})
    lies(lied_to, "acts", lambda said: {**said, "line": said["line"].replace(FRONT, SECOND)})
    page = lied_to.goes_to("recording", SECOND)
    row = page.get_by_role("listitem").filter(has_text=f"Hold {hold['n']}:")
    row.get_by_label("Reason").fill("over")
    row.get_by_role("button", name="Propose to release…").click()
    expect(page.get_by_role("alert")).to_contain_text("is not one of")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_question_that_the_desk_makes_up_is_not_signed(browser: Browser, desk: Desk) -> None:
    """A package's statement with films of its own, under an order that the person gave."""
    person = Person(browser, *desk, "Dan Ross", "disclosure")
    person.enrol()
    page = person.page
    ready(person.watches(SECOND))
    page.get_by_text("Cover parts of it, and give it to somebody").click()
    signed = list[str]()
    page.route(re.compile("/api/orders/sign"), lambda route: signed.append("asked"))

    def asks(said: Any) -> Any:
        message = b"\x84\x6aSignature1 of something".hex()
        worker = desk[0].agency.signer("Ruth Bell", "custodian")
        for one in said.get("orders", []):
            fields = {"order": one["digest"], "message": sha256(bytes.fromhex(message)).hexdigest()}
            asked = statement.make(worker, RENDER_QUESTION, fields).decode()
            one["question"] = json.dumps({"message": message, "body": "", "asked": asked})
        return said

    lies(person, "orders", asks)
    page.get_by_label("To whom").fill("somebody")
    page.get_by_label("Reason for giving it").fill("a test")
    page.get_by_role("button", name="Order the package").click()
    expect(page.get_by_role("alert")).to_contain_text(
        "no worker of this agency asks", ignore_case=True
    )
    assert signed == []
    person.end()


def test_a_stolen_session_can_neither_watch_nor_act(browser: Browser, desk: Desk) -> None:
    """The cookie alone, in a browser without the person's keys."""
    person = Person(browser, *desk, "Ada Okafor", "custodian")
    person.enrol()
    thief = browser.new_context(viewport=WIDE)
    thief.add_cookies(person.context.cookies())  # type: ignore[arg-type]
    page = thief.new_page()
    page.goto(person.url)
    expect(page.get_by_text("this browser has no certified key")).to_be_visible()
    page.evaluate(f"location.hash = '#/recording/' + encodeURIComponent('{SECOND}')")
    page.get_by_label("Why do you look?").fill("curiosity")
    page.get_by_role("button", name="Watch").click()
    expect(page.get_by_role("alert")).to_contain_text("no certified key")
    person.goes_to("browser")
    page.reload()
    rows = person.page.get_by_role("listitem").filter(has_text="(this one)")
    expect(rows).to_have_count(1)
    person.page.get_by_role("button", name="Sign out").click()
    expect(person.page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    thief.close()
    person.end()


# --- keys and signing in ----------------------------------------------------------------------


def test_a_lost_browser_enrols_anew_and_the_old_key_is_not_needed(
    browser: Browser, desk: Desk
) -> None:
    first = Person(browser, *desk, "Ada Okafor", "custodian")
    first.enrol()
    first.end()
    again = Person(browser, *desk, "Ada Okafor", "custodian")
    again.enrol()
    ready(again.watches(FRONT))
    again.end()


def test_certificates_for_other_keys_are_not_taken(browser: Browser, desk: Desk) -> None:
    one = Person(browser, *desk, "Ada Okafor", "custodian")
    two = Person(browser, *desk, "Ben Musa", "reviewer")
    for person in (one, two):
        person.page.get_by_role("button", name="Make new keys").click()
    answer = certify(desk[0].agency.keys, one.request(), "Ada Okafor", "custodian")
    two.take(answer)
    expect(two.page.get_by_role("alert")).to_contain_text("keys that another browser made")
    one.take(answer[: len(answer) // 2])
    expect(one.page.get_by_role("alert")).to_be_visible()
    for person in (one, two):
        person.end()


def test_keys_can_not_be_exported(ada: Person) -> None:
    said = ada.page.evaluate(
        """async () => { const db = await new Promise(r => { const o = indexedDB.open('bwv-desk');
        o.onsuccess = () => r(o.result); });
        const keys = await new Promise(r => { const o = db.transaction('keys').objectStore('keys')
        .getAll(); o.onsuccess = () => r(o.result); });
        const said = [];
        for (const key of [keys[0].signing, keys[0].viewing]) said.push(key.extractable,
        await crypto.subtle.exportKey('pkcs8', key).then(() => 'given', (e) => e.name));
        return said; }"""
    )
    assert said == [False, "InvalidAccessError"] * 2


def test_a_passkey_signs_in_and_another_process_serves_the_same_store(
    browser: Browser, desk: Desk
) -> None:
    it = desk[0]
    text = (it.folder / "custody.toml").read_text()
    text = text.replace("key_alone = true", 'index = ""\nstate = "strict.sqlite"')
    (it.folder / "strict.toml").write_text(text)
    words = ["desk", "--config", "strict.toml", "serve", "--listen", "127.0.0.1:0"]
    url = it.services.start("strict desk", words, r"answers on (http://\S+)")
    person = Person(browser, it, url, "Ali Grey", "auditor")
    page = person.page
    cdp = person.context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
        "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    made = cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.get_by_role("button", name="Make new keys").click()
    person.take(certify(it.agency.keys, person.request(), "Ali Grey", "auditor"))
    expect(page.get_by_role("heading", name="Register a passkey")).to_be_visible()
    refused = page.evaluate("fetch('api/inbox', {credentials: 'include'}).then(a => a.text())")
    assert refused == "Register a passkey first.\n"
    page.get_by_role("button", name="Register a passkey").click()
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
    person.goes_to("recording", FRONT)
    expect(badge(page)).to_contain_text("Seen by ombudsman.example/witness")
    page.get_by_role("button", name="Sign out").click()
    about = {"authenticatorId": made["authenticatorId"], "isUserVerified": False}
    cdp.send("WebAuthn.setUserVerified", about)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    person.end()
    it.services.end("strict desk")


def test_the_agencys_account_signs_in(browser: Browser, desk: Desk, ben: Person) -> None:
    """With a provider that others wrote; its account is mapped to the person's certificates."""
    it, tools = desk[0], Path(os.environ["BWV_TOOLS"])
    with free_port() as port, free_port() as provider_port:
        address = f"http://localhost:{port}"
    script = Path(__file__).parents[1] / "support/open_id_provider.mjs"
    back = f"{address}/api/sign-in/open-id/back"
    provider = subprocess.Popen(
        ["node", script, tools / "node_modules", str(provider_port), back],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert provider.stdout is not None
    assert "provider on" in provider.stdout.readline()
    text = (it.folder / "custody.toml").read_text()
    issuer = f'issuer = "http://localhost:{provider_port}"\nclient = "desk"\nindex = ""'
    (it.folder / "accounts.toml").write_text(text.replace("key_alone = true", issuer))
    secret = it.folder / "open-id-secret.txt"
    secret.write_text("a secret of the test\n")
    secret.chmod(0o600)
    words = ["desk", "--config", "accounts.toml", "serve", "--listen", f"127.0.0.1:{port}"]
    it.services.start("accounts desk", words, r"answers on (http://\S+)")
    try:
        page = browser.new_page()
        sign_in_at_the_provider(page, address, ben.name.lower())
        expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
        expect(page.get_by_text("ben musa: this browser has no certified key")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        page.context.clear_cookies()
        sign_in_at_the_provider(page, address, "a stranger")
        expect(page.get_by_text("nobody's with certified keys here")).to_be_visible()
        # What another browser began is not ended in this one.
        page.goto(f"{back}?state={'0' * 64}&code=x")
        expect(page.get_by_text("began in another browser")).to_be_visible()
        page.close()
    finally:
        provider.terminate()
        it.services.end("accounts desk")


def sign_in_at_the_provider(page: Page, address: str, name: str) -> None:
    page.goto(f"{address}/")
    page.get_by_role("link", name="Sign in with the agency's account").click()
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=password]").fill("anything")
    page.locator("button[type=submit]").click()
    page.locator("button[type=submit]").click()  # what the desk may know


# --- code from somewhere else -----------------------------------------------------------------


@contextmanager
def published(folder: Path, change: bytes = b"") -> Iterator[str]:
    """Another host, which serves files and knows nothing of data."""

    class Files(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.endswith("desk.js"):
                return super().do_GET()
            data = (folder / "desk.js").read_bytes() + change
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


def test_code_of_another_origin_works_and_is_compared_from_outside(
    browser: Browser, desk: Desk
) -> None:
    it, folder = desk[0], desk[0].folder / "code"
    custodian = ("--as", "roles/Ruth-Bell.custodian-key.pem")
    with published(folder) as code, free_port() as port:
        data = f"http://localhost:{port}"
        text = (it.folder / "custody.toml").read_text()
        places = f'address = "{data}"\ncode = "{code}"\nindex = ""\nstate = "code.sqlite"'
        (it.folder / "code.toml").write_text(text.replace("[desk]", f"[desk]\n{places}"))
        done = bwv("desk", "--config", "code.toml", *custodian, "code", "code", cwd=it.folder)
        assert done.returncode == 0, done.stderr
        words = ["desk", "--config", "code.toml", "serve", "--listen", f"127.0.0.1:{port}"]
        it.services.start("code desk", words, r"answers on (http://\S+)")
        person = Person(browser, it, f"{code}/", "Ada Okafor", "custodian")
        person.enrol()
        page = person.watches(FRONT)
        ready(page)
        page.get_by_label("Review: what does it show?").fill("from elsewhere")
        page.get_by_role("button", name="Write it down…").click()
        person.signs()
        person.end()
        it.services.end("code desk")
        assert {a.split("/")[2] for a in person.watched.asked if a.startswith("http")} == {
            code.split("/")[2], data.split("/")[2],
        }  # fmt: skip
        same = bwv("desk", "--config", "code.toml", "check", code, cwd=it.folder)
        assert same.returncode == 0, same.stderr
    with published(folder, b"\nfetch('//evil.example');") as code:
        other = bwv("desk", "--config", "code.toml", "check", code, cwd=it.folder)
        assert other.returncode == 13
        assert "gives other code to browsers than was published: desk.js" in other.stderr
        # The index names its script by digest: a browser runs nothing else.
        page = browser.new_page()
        page.goto(code)
        page.wait_for_timeout(500)
        assert page.locator("#page").inner_html() == ""
        page.close()


@contextmanager
def free_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    yield int(port)


# --- for everybody ----------------------------------------------------------------------------

PLACES = (
    ("inbox", ""), ("search", ""), ("recording", FRONT), ("cases", ""), ("requests", ""),
    ("cases", "R v Doe 26/114"), ("cameras", ""), ("scrutiny", ""), ("audit", ""), ("browser", ""),
)  # fmt: skip


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark")])
def test_every_screen_keeps_wcag(ada: Person, width: int, scheme: Any) -> None:
    tools = Path(os.environ["BWV_TOOLS"])
    page = ada.page
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    try:
        for screen, name in PLACES:
            ada.goes_to(screen, name)
            page.wait_for_timeout(600)
            assert violations(page, tools) == [], screen
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, (screen, wide)
            if width == 390 and screen == "recording":
                shown(page, "recording-390")
    finally:
        page.set_viewport_size(WIDE)  # type: ignore[arg-type]
        page.emulate_media(color_scheme="light")


def test_the_work_is_done_by_keyboard_alone(ada: Person) -> None:
    page = ada.goes_to("recording", OLD)
    reach(page, "Review: what does it show?")
    page.keyboard.type("by keyboard")
    reach(page, "Write it down…")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    reach(page, "Sign")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("by keyboard")).to_be_visible()


def reach(page: Page, name: str) -> None:
    """By the tab key."""
    for _ in range(80):
        at = page.evaluate(
            "(() => { const e = document.activeElement; return (e.labels?.[0]?.innerText "
            "|| e.innerText || '').trim().split('\\n')[0] })()"
        )
        if at == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name!r} is not reached")


# --- what is away -----------------------------------------------------------------------------


def test_what_still_works_while_the_key_desk_the_witness_and_the_worker_are_away(
    ada: Person, dora: Person
) -> None:
    services = ada.example.services
    for name in ("key-desk", "worker", "witness"):
        services.end(name)
    page = ada.goes_to("recording", SIDE)
    page.get_by_label("Why do you look?").fill("while it is away")
    page.get_by_role("button", name="Watch").click()
    expect(page.get_by_role("alert")).to_contain_text("can't be reached")
    page.get_by_label("Review: what does it show?").fill("acts go on")
    page.get_by_role("button", name="Write it down…").click()
    ada.signs()
    expect(page.get_by_text("acts go on")).to_be_visible()
    page = dora.goes_to("recording", SIDE)
    # Custody's history is no older than what a witness saw a moment ago: still amber or green.
    expect(badge(page)).not_to_have_attribute("data-state", "false")


def test_a_store_that_is_away_is_said(ada: Person) -> None:
    """A directory is moved from under the desk, as a mount that is gone."""
    evidence = ada.example.folder / "evidence"
    evidence.rename(evidence.with_name("away"))
    try:
        page = ada.goes_to("requests")
        page.wait_for_timeout(6000)  # for so long the desk takes the store for granted
        page.reload()
        expect(page.get_by_role("alert").first).to_be_visible()
    finally:
        evidence.with_name("away").rename(evidence)
    ada.page.reload()
    expect(ada.page.get_by_role("heading", name="Requests")).to_be_visible()
