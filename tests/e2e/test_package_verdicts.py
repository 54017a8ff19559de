"""docs/package-verdicts.md, line by line: each change is made, and three verifiers must say what
stands there. And what the second and the third of them need to be of use alone."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.warm_bwv import bwv

from bwv_device import keys
from bwv_device.verification import page, standalone
from sim.random_streams import Draws
from sim.servers.page_verifier import PageVerifier
from sim.sweeps.disclosed_packages import (
    CUT,
    DAMAGED,
    EXCERPT,
    GONE,
    REDACTED,
    WHOLE,
    DisclosedPackages,
)
from sim.sweeps.package_edits import BY_INSIDER, BY_STRANGER, OF_EXCERPT, Draft
from sim.sweeps.package_mutations import PackageMutations

HERE = Path(__file__).parents[2]
TABLE = HERE / "docs/package-verdicts.md"
ROW = re.compile(r"\| (.+?) \| (stranger|insider) \| (genuine|exception|not genuine) \|")
UNCHANGED = {
    "an excerpt that is not changed": EXCERPT,
    "a redacted copy that is not changed": REDACTED,
    "a recording cut by a loss of power that is not changed": CUT,
    "a recording with a segment gone at the store that is not changed": GONE,
    "a recording with a segment damaged at the store that is not changed": DAMAGED,
}


class Row(NamedTuple):
    change: str
    by: str
    answer: str


ROWS = [
    Row(*found.groups()) for found in map(ROW.fullmatch, TABLE.read_text().splitlines()) if found
]


@pytest.fixture(scope="module")
def sweep(disclosed_packages: DisclosedPackages) -> PackageMutations:
    return PackageMutations(disclosed_packages)


@pytest.fixture(scope="module")
def verifier() -> Iterator[PageVerifier]:
    with PageVerifier() as running:
        yield running


def test_the_list_names_each_change_that_there_is() -> None:
    named = {row.change for row in ROWS}
    assert named == {*BY_STRANGER, *BY_INSIDER, *OF_EXCERPT, *UNCHANGED}
    assert all(
        (row.by == "insider") is (row.change in {**BY_INSIDER, **OF_EXCERPT}) for row in ROWS
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.change.replace(" ", "-"))
def test_three_verifiers_say_what_the_list_says(
    row: Row, sweep: PackageMutations, verifier: PageVerifier
) -> None:
    kind = UNCHANGED.get(row.change, WHOLE)
    edit: Callable[[Draft], None] = {**BY_STRANGER, **BY_INSIDER, **OF_EXCERPT}.get(
        row.change, BY_STRANGER["nothing"]
    )
    draft = Draft(sweep.source, dict(sweep.source.packages[kind]), Draws(0, row.change))
    if row.change in OF_EXCERPT:  # of one that is genuine, with all pictures
        BY_INSIDER["the film called an excerpt, without originals"](draft)
    edit(draft)
    if row.by == "insider":
        draft.sign_anew()
    answers, why = sweep.answers(draft.files, verifier)
    assert answers == [row.answer] * 3, why


def test_drawn_changes_get_one_answer(sweep: PackageMutations) -> None:
    """The first of those that `make campaign` draws."""
    outcome = sweep.run(range(40))
    assert outcome.failures == []
    assert set(outcome.answers) == {"genuine", "exception", "not genuine"}


def test_a_verifier_that_looks_less_closely_is_found(
    sweep: PackageMutations, verifier: PageVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: one of three that does not compare the film with its originals, and a
    change where no signature of the camera reaches."""
    draft = Draft(sweep.source, dict(sweep.source.packages[WHOLE]), Draws(0, "control"))
    film = bytearray(draft.files[draft.film])
    film[film.index(b"elst") + 15] ^= 1  # how long the track lasts
    draft.files[draft.film] = bytes(film)
    draft.sign_anew()
    assert sweep.answers(draft.files, verifier)[0] == ["not genuine"] * 3
    monkeypatch.setattr(
        "bwv_device.verification.second_package_verifier.is_made_of", lambda *_: True
    )
    assert sweep.answers(draft.files, verifier)[0] == ["not genuine", "genuine", "not genuine"]


# --- of use alone ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(sweep: PackageMutations, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package as a stranger has it, with the agency's root beside it."""
    folder = tmp_path_factory.mktemp("stranger")
    for name, data in sweep.source.packages[WHOLE].items():
        path = folder / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "root.pem").write_bytes(sweep.source.agency.files[keys.ROOT])
    return folder


def run(folder: Path, *words: str, flags: tuple[str, ...] = ("-I",)) -> Any:
    """Without this project on the way."""
    return subprocess.run(
        [sys.executable, *flags, folder / "package/verify.py", *words],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_file_in_the_package_judges_it(whole: Path) -> None:
    done = run(whole, "package", "--root", "root.pem")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("genuine and complete\n")
    assert "disclosed by Dora" in done.stdout
    source = (whole / "package/verify.py").read_text()
    assert "bwv_device." not in source.partition('"""\n\n')[2]


def test_each_bad_word_is_one_sentence(whole: Path) -> None:
    for words in (("nowhere", "--root", "root.pem"), ("package", "--root", "nowhere")):
        done = run(whole, *words)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "Traceback" not in done.stderr


def test_without_its_library_it_is_one_sentence(whole: Path) -> None:
    """With neither a site nor this environment's packages."""
    done = run(whole, "package", "--root", "root.pem", flags=("-I", "-S"))
    assert done.returncode == 1
    assert done.stderr.startswith("This needs the Python package 'cryptography'")


def test_what_is_published_is_what_packages_bring(whole: Path, tmp_path: Path) -> None:
    done = bwv("verify-page", tmp_path / "site")
    assert done.returncode == 0, done.stderr
    for name in (page.NAME, standalone.NAME):
        data = (tmp_path / "site" / name).read_bytes()
        assert data == (whole / "package" / name).read_bytes()
        assert f"{hashlib.sha256(data).hexdigest()}  {name}" in done.stdout
        assert hashlib.sha256(data).hexdigest() in (whole / "package/report.html").read_text()


def test_the_page_is_built_from_its_source(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", HERE / "scripts/build-verify-page", tmp_path / page.NAME],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / page.NAME).read_bytes() == page.page(), "run scripts/build-verify-page"


def test_two_parts_that_mean_different_things_are_not_joined(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other.py"
    other.write_text("def nal_units(data):\n    return []\n")

    class Part:
        __file__ = str(other)

    monkeypatch.setattr(standalone, "PARTS", (Part, *standalone.PARTS))
    with pytest.raises(ValueError, match="different things by 'nal_units'"):
        standalone.verifier()
