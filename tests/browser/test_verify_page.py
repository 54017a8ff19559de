"""START-HERE.html in a real browser, from a file, as a stranger opens it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browser import Watched, chromium, until, violations

from bwv_device import keys
from bwv_device.formats import statement
from sim.sweeps.disclosed_packages import (
    EXCERPT,
    REDACTED,
    UNSEEN,
    WHOLE,
    DisclosedPackages,
)

SCREENS = Path(os.environ.get("BWV_SCREENS", ".cache/screens")).resolve()
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def folders(
    disclosed_packages: DisclosedPackages, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    top = tmp_path_factory.mktemp("packages")
    for kind, files in disclosed_packages.packages.items():
        for name, data in files.items():
            path = top / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    (top / "root.pem").write_bytes(disclosed_packages.agency.files[keys.ROOT])
    return top


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, folders: Path) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1000, "height": 900}, offline=True)
    watched = Watched(context.new_page(), f"file://{folders / WHOLE / 'START-HERE.html'}")
    yield watched.page
    context.close()
    assert watched.complaints == []
    assert [url for url in watched.asked if not url.startswith(("file:", "blob:"))] == []


def answered(page: Page, answer: str) -> None:
    expect(page.locator("#answer")).to_have_attribute("data-answer", answer, timeout=PATIENCE_MS)


def test_nothing_is_said_or_played_before_it_was_checked(page: Page, tools: Path) -> None:
    expect(page.locator("#word")).to_have_text("Not checked yet")
    expect(page.locator("video")).to_have_count(0)
    expect(page.locator("main")).to_contain_text("a forged package would bring a forged page")
    assert violations(page, tools) == []


def test_a_package_is_checked_and_what_was_checked_is_played(
    page: Page, folders: Path, tools: Path
) -> None:
    page.set_input_files("#folder", folders / WHOLE)
    answered(page, "genuine")
    expect(page.locator("#word")).to_have_text("Genuine and complete")
    expect(page.locator("#stop")).to_be_hidden()
    video = page.locator("video")
    assert str(video.get_attribute("src")).startswith("blob:")
    until(page, "document.querySelector('video').readyState >= 2")
    assert 10 < page.evaluate("document.querySelector('video').duration") < 15
    expect(page.locator(".lane")).to_contain_text(["beeps", "markers"])
    page.get_by_role("button", name="marked:").first.click()
    until(page, "document.querySelector('video').currentTime > 5")
    expect(page.locator("#compare")).to_contain_text("ombudsman.example/w1")
    assert violations(page, tools) == []
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / "start-here.png", full_page=True)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_one_changed_bit_and_nothing_is_played(
    page: Page, folders: Path, tmp_path: Path, disclosed_packages: DisclosedPackages
) -> None:
    for name, data in disclosed_packages.packages[WHOLE].items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (film,) = tmp_path.glob("*.mp4")
    data = bytearray(film.read_bytes())
    data[len(data) // 2] ^= 1
    film.write_bytes(data)
    page.set_input_files("#folder", folders / WHOLE)
    answered(page, "genuine")
    page.set_input_files("#folder", tmp_path)
    answered(page, "false")
    expect(page.locator("#reasons")).to_contain_text(f"{film.name} was changed")
    expect(page.locator("video")).to_have_count(0)


def test_a_zip_and_files_one_by_one_are_the_same_package(
    page: Page, folders: Path, tmp_path: Path
) -> None:
    files = [path for path in (folders / WHOLE).rglob("*") if path.is_file()]
    with zipfile.ZipFile(tmp_path / "package.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, Path("package") / path.relative_to(folders / WHOLE))
    page.set_input_files("#files", tmp_path / "package.zip")
    answered(page, "genuine")
    page.set_input_files("#files", [])
    page.reload()
    page.set_input_files("#files", files)
    answered(page, "genuine")


def test_what_is_no_package_is_a_sentence(page: Page, folders: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.zip").write_bytes(b"PK no zip")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        for name in ("a/SHA256SUMS", "b/SHA256SUMS"):
            archive.writestr(name, "")
    with zipfile.ZipFile(tmp_path / "beside.zip", "w") as archive:
        for name in ("a/SHA256SUMS", "film-of-the-incident.mp4"):
            archive.writestr(name, "")
    for chosen, sentence in (
        (folders / "root.pem", "There is no SHA256SUMS in it"),
        (tmp_path / "broken.zip", "That is no zip file that can be read"),
        (tmp_path / "two.zip", "There are two packages in it"),
        (tmp_path / "beside.zip", "lm-of-the-incident.mp4 lies beside the package"),
    ):
        page.set_input_files("#files", chosen)
        expect(page.locator("#about")).to_contain_text(sentence)
        expect(page.locator("#word")).to_have_text("Not checked")


def test_the_reader_says_whose_root_counts(
    page: Page, folders: Path, disclosed_packages: DisclosedPackages
) -> None:
    root = statement.fingerprint(disclosed_packages.agency.root)
    page.set_input_files("#folder", folders / WHOLE)
    answered(page, "genuine")
    expect(page.locator("#about")).to_contain_text("compare its fingerprint below with paper")
    page.fill("#fingerprint", "0" * 64)
    page.locator("#fingerprint").blur()
    expect(page.locator("#about")).to_contain_text("another than the one whose fingerprint")
    answered(page, "unchecked")
    expect(page.locator("video")).to_have_count(0)
    page.fill("#fingerprint", " ".join(root[at : at + 4] for at in range(0, 64, 4)).upper())
    page.locator("#fingerprint").blur()
    answered(page, "genuine")
    expect(page.locator("#about")).to_contain_text("the root whose fingerprint you typed")
    page.set_input_files("#root", folders / "root.pem")
    expect(page.locator("#about")).to_contain_text("the root that you chose")
    page.fill("#fingerprint", "0" * 64)
    page.locator("#fingerprint").blur()
    expect(page.locator("#about")).to_contain_text("has another fingerprint than you typed")
    answered(page, "unchecked")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (EXCERPT, "custody's ledger says nothing of this recording alone"),
        (REDACTED, "a redacted copy: what was covered is stated"),
        (UNSEEN, "nobody outside the agency has seen custody's lines"),
    ],
)
def test_each_exception_is_named(page: Page, folders: Path, kind: str, words: str) -> None:
    page.set_input_files("#folder", folders / kind)
    answered(page, "exception")
    expect(page.locator("#reasons")).to_contain_text(words)
    expect(page.locator("video")).to_have_count(1)
    if kind == REDACTED:
        expect(page.locator(".lane")).to_contain_text(["covered"])
