"""Written shifts: those that are shipped pass; what is wrong in one is said in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sim.commands.scenario import shipped_files
from sim.docs.faults_and_scenarios import faults, scenarios
from sim.scenario.acts import ACTS
from sim.scenario.expectations import EXPECTATIONS
from sim.scenario.language import ScenarioError, clock_ns, read, span_s
from sim.scenario.play import load, parse, play

SECOND = 1_000_000_000


@pytest.mark.parametrize("path", shipped_files(), ids=lambda path: path.stem)
def test_shipped_scenarios_pass(path: Path) -> None:
    assert play(load(path)) == []


def test_there_are_a_dozen() -> None:
    assert len(shipped_files()) >= 12


def test_a_failed_expectation_is_explained_with_what_happened_around_it() -> None:
    steps = ["at 00:00 boot", "at 00:05 press record twice", "at 00:06 expect front light dark"]
    failures = play(parse(f"steps = {steps}".encode()))
    assert [failure.sentence for failure in failures] == [steps[-1]]
    assert failures[0].instead == "it is 'recording'"
    told = "\n".join(failures[0].timeline)
    assert "record pressed, times 2" in told
    assert "ready → recording (start)" in told
    assert "ledger" in told


FAILING = [
    "state recording", "beeper not stored", "heard 3 times refused since 00:00",
    "nothing heard since 00:00", "2 boot lines", "wipe line", "boot line with cause = power cut",
    "refused because storage has room", "gap of about 100 pictures, missing", "7 sealed segments",
    "vault changed", "recording starts 50 s before the press", "last recording has about 900 s",
    "at most 1 s lost",
]  # fmt: skip


@pytest.mark.parametrize("expectation", FAILING)
def test_every_kind_of_expectation_can_fail(expectation: str) -> None:
    steps = [
        "at 00:00 clock is not set", "at 00:00 boot", "at 00:05 press record twice",
        "at 00:10 hold record", f"at 00:20 expect {expectation}",
    ]  # fmt: skip
    failures = play(parse(f"steps = {steps}".encode()))
    assert len(failures) == 1
    assert failures[0].instead


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff", "not valid TOML"),
        (b"steps = 3", "no steps"),
        (b"steps = []", "no steps"),
        (b"stops = ['at 00:00 boot']", "Unknown key 'stops'"),
        (b"steps = ['boot']", "does not start with"),
        (b"steps = ['at 00:00 press recrod twice']", "Nearest: press {button} {times}"),
        (b"steps = ['at 00:05 boot', 'at 00:01 dock']", "comes too late"),
        (b"steps = ['finally expect state off', 'at 00:01 dock']", "comes too late"),
        (b"docked = 'yes'\nsteps = ['at 00:00 boot']", "true or false"),
        (b"steps = ['at 00:00 boot']\n[settings.light]\nlease_ms = 9000", "lease_ms"),
        (b"settings = 4\nsteps = ['at 00:00 boot']", "settings"),
    ],
)
def test_what_is_wrong_is_said(content: bytes, told: str) -> None:
    with pytest.raises(ScenarioError, match=told.replace("{", r"\{")) as caught:
        parse(content)
    assert caught.value.exit_code == 3


def test_what_can_not_be_done_now_is_said() -> None:
    with pytest.raises(ScenarioError, match="can't be done now"):
        play(parse(b"steps = ['at 00:01 press record twice']"))
    with pytest.raises(ScenarioError, match="before the step above is over"):
        play(parse(b"steps = ['at 00:00 boot', 'at 00:05 hold record', 'at 00:06 dock']"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="can't be read"):
        load(tmp_path / "none.toml")


def test_times_and_spans() -> None:
    assert clock_ns("1:02:03.5") == 3723.5 * SECOND
    assert clock_ns("00:45") == 45 * SECOND
    assert [span_s(text) for text in ("250 ms", "8 s", "2 min", "1 h")] == [0.25, 8, 120, 3600]


def test_every_phrase_is_read_from_its_own_form() -> None:
    words = {
        "{button}": "record", "{times}": "twice", "{span}": "3 s", "{span:each}": "1 s",
        "{error}": "EIO", "{verb}": "sync", "{output}": "front light", "{number}": "2",
        "{word}": "gap", "{fault}": "io-error", "{clock}": "00:10", "{fields}": "part = x",
        "{words}": "dark",
    }  # fmt: skip
    for phrases, lead in ((ACTS, "at 00:00 "), (EXPECTATIONS, "at 00:00 expect ")):
        for item in phrases:
            text = item.form.replace("[", "").replace("]", "")
            for place, word in words.items():
                text = text.replace(place, word)
            assert read(lead + text, ACTS, EXPECTATIONS).phrase is item, text


@pytest.mark.parametrize(("page", "made"), [("faults", faults), ("scenarios", scenarios)])
def test_the_handbook_is_true_to_the_tables(page: str, made: Callable[[], str]) -> None:
    kept = (Path(__file__).parents[2] / "docs" / f"{page}.md").read_text()
    assert kept == made(), "python -m sim.docs.faults_and_scenarios docs"
