"""Bytes are judged before they are parsed: nothing that nobody may say reaches a parser."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from support.signed_commands import DEVICE, fields, person, signed

from bwv_device.camera.commands import check
from bwv_device.formats import canonical_json, statement
from bwv_device.formats.grammar.purposes import ASSIGNMENT, COMMAND_PURPOSE, DOCKING, RECEIPT
from bwv_device.formats.grammar.statements import Assignment, Command, Docking, Receipt
from bwv_device.formats.statement import StatementError
from sim.world.test_keys import BenchAgency

ILL = b'{"a":"' + b'\\"' * 50


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What came to the parser of JSON."""
    seen: list[bytes] = []
    decode = canonical_json.decode

    def watched(data: bytes) -> dict[str, Any]:
        seen.append(data)
        return decode(data)

    monkeypatch.setattr(canonical_json, "decode", watched)
    return seen


def statements(agency: BenchAgency) -> dict[str, tuple[type, str, Any, Callable[[bytes], object]]]:
    """Kind, purpose, who may say it, and how it is read."""
    roots = [agency.root]
    return {
        "command": (
            Command, COMMAND_PURPOSE, person(agency, "command"),
            lambda data: check.read(data, DEVICE, roots),
        ),
        "docking": (
            Docking, DOCKING, agency.device,
            lambda data: statement.of_camera(data, Docking, DEVICE, roots),
        ),
        "receipt": (
            Receipt, RECEIPT, person(agency, "intake"),
            lambda data: statement.of_role(data, Receipt, ("intake",), roots),
        ),
        "assignment": (
            Assignment, ASSIGNMENT, person(agency, "configuration"),
            lambda data: statement.of_role(data, Assignment, ("configuration",), roots),
        ),
    }  # fmt: skip


def forgeries(agency: BenchAgency, good: bytes) -> dict[str, bytes]:
    """Of what is said under somebody's name, all that he did not sign."""
    text, _, pem = good.partition(b"\n")
    said, _, mark = text.partition(b"\t")
    stranger = BenchAgency("another", device=DEVICE)
    auditor = person(agency, "auditor", DEVICE)
    return {
        "unsigned": said + b"\t" + b"0" * 128 + b"\n" + pem,
        "something dear, unsigned": ILL + b"}\t" + b"0" * 128 + b"\n" + pem,
        "another text under a good signature": said[:-1] + b',"z":1}\t' + mark + b"\n" + pem,
        "another agency's": signed(stranger.device, {"device": DEVICE}, "x"),
        "an auditor's": signed(auditor, {"device": DEVICE}, "x"),
        "an auditor's under the good certificate": (
            signed(auditor, {"device": DEVICE}, "x").partition(b"\n")[0] + b"\n" + pem
        ),
        "without a certificate": text + b"\n",
        "more than a certificate": good + b"junk",
    }


@pytest.mark.parametrize("kind", ["command", "docking", "receipt", "assignment"])
def test_what_nobody_may_say_is_not_parsed(
    kind: str, agency: BenchAgency, parsed: list[bytes]
) -> None:
    _, purpose, signer, read = statements(agency)[kind]
    good = signed(signer, fields(1), purpose)
    for name, data in forgeries(agency, good).items():
        try:
            refused = isinstance(read(data), check.Refused)
        except StatementError:
            refused = True
        assert refused, name
        assert parsed == [], name
    with contextlib.suppress(StatementError):
        read(good)  # the control: the signer's own word is parsed, whatever it then says
    assert len(parsed) == 1


def test_a_check_that_was_moved_behind_the_parser_is_found_out(
    agency: BenchAgency, parsed: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    check_text = statement.check

    def late(text: bytes, chain: Any) -> dict[str, Any]:
        canonical_json.decode(text.rpartition(b"\t")[0])
        return check_text(text, chain)

    monkeypatch.setattr(statement, "check", late)
    with pytest.raises(AssertionError):
        test_what_nobody_may_say_is_not_parsed("assignment", agency, parsed)
