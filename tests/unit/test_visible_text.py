"""Text from outside can't make a terminal, a table, a page or a PDF say something else."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from support.made_vault import MadeVault

import bwv_device.verification.second_verifier
from bwv_device.camera.vault.ledger_writer import Ledger
from bwv_device.commands.cli.tables import plain
from bwv_device.commands.custody.service_log import ServiceLog
from bwv_device.commands.ledger import command as ledger_command
from bwv_device.commands.verify import command as verify_command
from bwv_device.custody.disclosure import report
from bwv_device.fleet import watch_table
from bwv_device.formats.grammar.forms import UNSEEN
from bwv_device.formats.ledger_lines import START
from bwv_device.formats.visible_text import visible, visible_lines
from sim.world.test_keys import BenchAgency

ILL = {
    "a second line": "x\nsealed             00000001-0009-0001.mp4.age",
    "a carriage return": "x\rsealed",
    "hidden from here on": "\x1b[8m",
    "a title for the window": "\x1b]0;whole\x07",
    "an eight-bit escape": "\x9b8m",
    "written backwards": "\u202etxet",
    "an isolate": "\u2066x\u2069",
    "a line separator": "a\u2028b",
    "half a character": "\udc80",
    "markup": "[/][red]whole[/]",
    "a nul": "a\x00b",
}


@pytest.mark.parametrize("name", ILL)
def test_it_is_one_line_of_seen_characters(name: str) -> None:
    said = visible(ILL[name])
    assert UNSEEN.isdisjoint(said)
    assert said.isprintable()
    said.encode()  # a terminal's encoding takes it


def test_what_is_fine_stays_as_it_is() -> None:
    for text in ("", "Zoë Okafor", "\u0410\u043d\u043d\u0430", "a [b] \\ c", "東京"):
        assert visible(text) == text
    assert visible("a\tb\x1b\u202e") == "a\\tb\\x1b\\u202e"
    assert visible_lines("one\ntwo\x1b") == "one\ntwo\\x1b"


@given(st.text() | st.text(alphabet=sorted(UNSEEN)))
def test_nothing_unseen_is_left(text: str) -> None:
    assert UNSEEN.isdisjoint(visible(text))
    console = Console(file=io.StringIO(), width=10_000)
    console.print(plain(text))  # no markup either
    assert "\x1b" not in console.file.getvalue()  # type: ignore[attr-defined]


def seen_only(output: str) -> None:
    assert UNSEEN.isdisjoint(output.replace("\n", "")), [c for c in output if c in UNSEEN]


# Names that a Linux file may have.
FILES = {name: text for name, text in ILL.items() if "\0" not in text and "/" not in text}


@pytest.mark.parametrize("name", FILES)
def test_no_name_of_a_file_forges_a_verdict(
    name: str, made_vault: MadeVault, tmp_path: Path
) -> None:
    """Through both verifiers, as they are called."""
    vault = tmp_path / "vault"
    for path in made_vault.path.rglob("*"):
        if path.is_file():
            target = vault / path.relative_to(made_vault.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    ill = os.fsencode(vault / "footage") + b"/" + FILES[name].encode("utf-8", "surrogateescape")
    Path(os.fsdecode(ill)).write_bytes(b"")
    ran = CliRunner().invoke(verify_command, [str(vault)])
    assert ran.exit_code == 10, ran.output
    seen_only(ran.output)
    forged = [line for line in ran.output.splitlines() if line.startswith("sealed")]
    assert forged == []
    second = bwv_device.verification.second_verifier.__file__
    done = subprocess.run([sys.executable, str(second), str(vault)], capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 1, done.stderr
    seen_only(done.stdout)
    assert "sealed             00000001-0009" not in [
        line[:32] for line in done.stdout.splitlines()
    ]


@pytest.mark.parametrize("name", [name for name in ILL if name != "half a character"])
def test_no_reason_in_a_ledger_forges_a_line(name: str, tmp_path: Path) -> None:
    agency = BenchAgency()
    ledger = Ledger(agency.device, b"x" * 48, 1, START)
    data = ledger.boot_line(0, {"cause": "start"})
    data += ledger.line("fault", 1, {"part": "camera", "reason": ILL[name]})
    (tmp_path / "ledger").mkdir()
    (tmp_path / ledger.path).write_bytes(data)
    ran = CliRunner().invoke(ledger_command, [str(tmp_path)])
    assert ran.exit_code == 0, ran.output
    seen_only(ran.output)
    assert len(ran.output.splitlines()) == 2


@pytest.mark.parametrize("name", ILL)
def test_a_fleets_table_and_a_services_log(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(file=io.StringIO(), width=200)
    console.print(watch_table.render([], 5, ILL[name]))
    seen_only(console.file.getvalue().replace("\x1b[3m", "").replace("\x1b[0m", ""))  # type: ignore[attr-defined]

    class Context:
        zone = None

        @staticmethod
        def now_ns() -> int:
            return 0

    ServiceLog(Context()).line(ILL[name])  # type: ignore[arg-type]
    out = capsys.readouterr().out
    seen_only(out)
    assert len(out.splitlines()) == 1


LONG = {
    "a word of 10,000": "x" * 10_000,
    "a text of 200,000": "word " * 40_000,
    "ten thousand lines": "a\n" * 10_000,
    **ILL,
}


@pytest.mark.parametrize("name", LONG)
def test_any_words_fit_a_report(name: str) -> None:
    text = LONG[name]
    keys = "recording camera officer began ended certainty category recipient reason request"
    said: dict[str, Any] = dict.fromkeys(
        [*keys.split(), "made", "by", "verdict", "witnessed"], text
    )
    step = {"when": text, "ledger": text, "number": 1, "what": text, "who": text, "detail": text}
    segment = {"name": text, "bytes": 1, "says": text, "detail": text}
    said |= {"good": True, "problems": [text], "notes": [text], "segments": [segment],
             "life": [step], "silent": text, "checks": text, "trust": [(text, text)],
             "films": [{"name": text, "sha256": text, "bytes": 1}]}  # fmt: skip
    page = report.html(said)
    seen_only(page)
    assert report.pdf(said).startswith(b"%PDF")
