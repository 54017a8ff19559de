"""The frozen vectors: what the code writes, and what it makes of what was written."""

from __future__ import annotations

import filecmp
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from grammar_cases import good, value_of
from make_vectors import main, plaintext

from bwv_device import keys
from bwv_device.camera.commands import check
from bwv_device.errors import SealedFileError
from bwv_device.formats import age
from bwv_device.formats.age_payload import Opener
from bwv_device.formats.grammar import tables
from bwv_device.formats.grammar.decode import GrammarError
from bwv_device.formats.grammar.ledger_kinds import KINDS, typed
from bwv_device.formats.grammar.statements import PURPOSES, Receipt
from bwv_device.formats.grammar.statements import typed as typed_statement
from bwv_device.formats.ledger_lines import branches_head, parse_line
from bwv_device.formats.statement import Statement
from bwv_device.verification.second_verifier import KINDS as SECOND_KINDS
from bwv_device.verification.second_verifier import (
    RECEIPT,
    Judge,
    canonical,
    misfit,
    well_formed,
)
from bwv_device.verification.vault_report import verify
from hal.ports import UtcReading

HERE = Path(__file__).parent
SEALED = json.loads((HERE / "sealed.json").read_text())
LINES = json.loads((HERE / "lines.json").read_text())
GRAMMAR = json.loads((HERE / "grammar.json").read_text())
COMMANDS = json.loads((HERE / "commands.json").read_text())


def test_the_code_still_writes_the_vectors(tmp_path: Path) -> None:
    main(tmp_path)
    made = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    assert len(made) == 11
    for path in made:
        assert filecmp.cmp(tmp_path / path, HERE / path, shallow=False), f"{path} has changed"


@pytest.mark.parametrize("case", SEALED, ids=[case["name"] for case in SEALED])
def test_sealed_files(case: dict) -> None:
    data, released = bytes.fromhex(case["file"]), b""
    try:
        opener = Opener(io.BytesIO(data), [age.parse_identity(case["identity"])])
    except SealedFileError:
        assert case["expect"] == "refused"
        return
    try:
        for chunk in opener.chunks():
            released += chunk
        said = "success"
    except SealedFileError:
        said = "cut"
    assert (said, len(released)) == (case["expect"], case["released"])
    assert released == plaintext(len(released))


def test_vectors_expect_failures_too() -> None:
    assert {case["expect"] for case in SEALED} == {"success", "cut", "refused"}


@pytest.mark.parametrize("case", COMMANDS, ids=[case["name"] for case in COMMANDS])
def test_commands(case: dict) -> None:
    roots = keys.load_certificates(HERE / "root.pem")
    outcome = check.read(case["payload"].encode(), case["device"], roots)
    if isinstance(outcome, Statement):
        now = UtcReading(case["utc_ns"], case["error_ns"], "ntp")
        outcome = check.judge(outcome, case["counter"], now)
    said = outcome.reason if isinstance(outcome, check.Refused) else "done"
    assert said == case["expect"]


def fields_of(case: dict) -> dict:
    kind = Receipt if case["what"] == PURPOSES[Receipt] else KINDS[case["what"]]
    fields = good(kind, whole=case.get("whole", True))
    fields.pop(case.get("without"), None)
    if "field" in case:
        fields[case["field"]] = value_of(case)
    return fields


@pytest.mark.parametrize("what", sorted({case["what"] for case in GRAMMAR}))
def test_both_verifiers_judge_every_form_alike(what: str) -> None:
    """Whether a value fits, as the vectors say it, for both readers of the grammar."""
    for case in [case for case in GRAMMAR if case["what"] == what]:
        fields = fields_of(case)
        if what == PURPOSES[Receipt]:
            said = {**fields, "purpose": what, "by": "0" * 64}
            first, second = reads(typed_statement, Receipt, said), misfit(RECEIPT, said, True)
        else:
            first, second = reads(typed, what, fields), misfit(SECOND_KINDS[what], fields)
        assert (first, second == "") == (case["fits"], case["fits"]), (case, second)


def reads(read: Callable[..., object], *arguments: object) -> bool:
    try:
        read(*arguments)
    except GrammarError:
        return False
    return True


def test_the_vectors_have_several_of_each_kind() -> None:
    for what in KINDS:
        fit = [case["fits"] for case in GRAMMAR if case["what"] == what]
        assert fit.count(True) >= 2
        assert fit.count(False) >= 3 or what in ("stop",), what


@pytest.mark.parametrize("row", LINES)
def test_lines_are_well_formed_for_both(row: dict) -> None:
    raw = row["line"].rstrip("\n").encode()
    assert parse_line(raw).fields == well_formed(raw)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw.replace(b"\t", b" "),
        lambda raw: raw + b" ",
        lambda raw: raw[:-1],
        lambda raw: raw[:-128] + raw[-128:].upper(),
        lambda raw: raw.replace(b'"n":2', b'"n":2.0'),
        lambda raw: raw.replace(b'"n":2', b'"n":"2"'),
        lambda raw: raw.replace(b'"n":2', b'"n":true'),
        lambda raw: raw.replace(b'"kind"', b' "kind"'),
        lambda raw: raw.replace(b"\\u00eb", b"\\u00EB"),
        lambda raw: raw.replace(b"\\u00eb", "ë".encode()),
        lambda raw: b"",
    ],
)
def test_other_forms_of_a_line_are_refused_by_both(spoil) -> None:
    raw = spoil(LINES[1]["line"].rstrip("\n").encode())
    assert raw != LINES[1]["line"].rstrip("\n").encode()
    with pytest.raises(ValueError):  # noqa: PT011 - any reason will do
        parse_line(raw)
    assert well_formed(raw) is None


@pytest.mark.parametrize("row", json.loads((HERE / "branches.json").read_text()))
def test_what_a_line_behind_a_fork_continues(row: dict) -> None:
    assert branches_head([tuple(end.values()) for end in row["branches"]]) == (
        row["number"], row["digest"]
    )  # fmt: skip
    named = canonical({"branches": row["branches"]})
    assert hashlib.sha256(named).hexdigest() == row["digest"]


def test_the_frozen_forked_vault_is_whole_since_the_third_boot() -> None:
    root = keys.load_certificates(HERE / "root.pem")
    report = verify(HERE / "forked", root)
    assert report.complete, (report.problems, report.remarks)
    assert report.whole_since == 3
    assert Judge(HERE / "forked", root).judge() == "whole"


def test_the_frozen_vault_is_whole() -> None:
    root = keys.load_certificates(HERE / "root.pem")
    report = verify(HERE / "vault", root)
    assert report.complete, (report.problems, report.remarks)
    assert Judge(HERE / "vault", root).judge() == "whole"


def test_the_tables_of_the_format_are_those_of_the_grammar() -> None:
    page = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
    assert tables.written(page) == page
    assert tables.written(page.replace("`stop`", "`halt`", 1)) == page
