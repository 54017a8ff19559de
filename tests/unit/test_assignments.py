"""Which assignment is in force: the newest that holds, and an officer named since."""

from __future__ import annotations

from typing import Any

import pytest

from bwv_device.camera.commands.assignment import Assignments
from bwv_device.formats import statement
from bwv_device.formats.grammar.purposes import ASSIGNMENT, COMMAND_PURPOSE
from bwv_device.formats.grammar.statements import Assignment, Command
from bwv_device.formats.statement import Statement
from sim.world.custody_workers import role
from sim.world.test_keys import BenchAgency

DEVICE = "bench-camera-1"


class Bench:
    def __init__(self, agency: BenchAgency) -> None:
        self.agency = agency
        self.notes: list[tuple[str, dict[str, Any]]] = []
        self.settings: list[dict[str, Any]] = []
        self.it = self.booted()

    def booted(self) -> Assignments:
        self.it = Assignments(
            DEVICE,
            lambda kind, **fields: self.notes.append((kind, fields)),
            [self.agency.root],
            self.settings.append,
        )
        return self.it

    def assignment(self, version: int, officer: str, **fields: Any) -> Statement[Assignment]:
        said = {"device": DEVICE, "version": version, "officer": officer, "utc_ns": 10**18,
                "settings": {"video": {"fps": version}}, **fields}  # fmt: skip
        data = statement.make(role(self.agency, "c", "configuration"), ASSIGNMENT, said)
        return statement.of_role(data, Assignment, ("configuration",), [self.agency.root])

    def command(self, officer: str, command: str = "assign", **fields: Any) -> Statement[Command]:
        arguments = {"officer": officer} if command == "assign" else {}
        said = {"device": DEVICE, "counter": 1, "id": "desk", "command": command, "issued_s": 10**9,
                "arguments": arguments, "expires_s": 10**9 + 60, **fields}  # fmt: skip
        data = statement.make(role(self.agency, "o", "command"), COMMAND_PURPOSE, said)
        return statement.of_role(data, Command, ("command",), [self.agency.root])

    def kept(self, said: Statement[Any]) -> dict[str, str]:
        return {"statement": said.text, "certificate": said.certificate}

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.notes]


def test_only_a_newer_assignment_is_taken(agency: BenchAgency) -> None:
    bench = Bench(agency)
    for version, officer in ((2, "PC 2"), (2, "PC 9"), (1, "PC 1"), (3, "PC 3")):
        bench.it.take(bench.assignment(version, officer))
    assert (bench.it.version, bench.it.officer) == (3, "PC 3")
    assert bench.it.settings == {"video": {"fps": 3}}
    assert bench.settings == [{"video": {"fps": 2}}, {"video": {"fps": 3}}]
    assert bench.kinds == ["assignment", "fault", "fault", "assignment"]
    assert bench.notes[1][1] == {
        "part": "assignment", "reason": "it is older than the one in force"
    }  # fmt: skip
    assert set(bench.notes[0][1]) == {"statement", "certificate"}


def test_the_next_boot_goes_on_with_what_the_ledger_keeps(agency: BenchAgency) -> None:
    bench = Bench(agency)
    said = bench.assignment(4, "PC 4")
    bench.it.take(said)
    bench.booted().remember(bench.kept(said))
    assert (bench.it.version, bench.it.officer) == (4, "PC 4")
    bench.it.take(bench.assignment(4, "PC 9"))
    assert bench.it.officer == "PC 4"
    bench.booted().remember(None)
    assert (bench.it.version, bench.it.officer) == (0, "")


def test_a_ledger_that_keeps_an_older_one_changes_nothing(agency: BenchAgency) -> None:
    bench = Bench(agency)
    bench.it.take(bench.assignment(4, "PC 4"))
    bench.it.remember(bench.kept(bench.assignment(3, "PC 3")))
    assert (bench.it.version, bench.it.officer) == (4, "PC 4")
    bench.it.remember(bench.kept(bench.assignment(4, "PC 4")))
    assert bench.it.version == 4


def test_an_officer_named_by_a_command_stays_until_the_next_assignment(
    agency: BenchAgency,
) -> None:
    bench = Bench(agency)
    said = bench.assignment(1, "PC 1")
    bench.it.take(said)
    command = bench.command("PC 7")
    bench.it.issue(command, "PC 7")
    assert bench.it.officer == "PC 7"
    assert bench.kinds == ["assignment", "officer"]
    bench.booted().remember(bench.kept(said), bench.kept(command))
    assert (bench.it.version, bench.it.officer) == (1, "PC 7")
    bench.it.take(bench.assignment(2, "PC 2"))
    assert bench.it.officer == "PC 2"
    # A ledger that is opened anew in the same process does not bring the old officer back.
    bench.it.remember(bench.kept(bench.assignment(2, "PC 2")))
    assert bench.it.officer == "PC 2"


def test_a_ledger_that_is_opened_anew_is_told_of_the_officer_again(agency: BenchAgency) -> None:
    bench = Bench(agency)
    said = bench.assignment(1, "PC 1")
    bench.it.take(said)
    bench.it.issue(bench.command("PC 7"), "PC 7")
    bench.notes.clear()
    bench.it.remember(bench.kept(said))
    assert bench.it.officer == "PC 7"
    assert bench.kinds == ["officer"]


@pytest.mark.parametrize("how", ["device", "role", "signature"])
def test_a_kept_assignment_that_does_not_hold_is_told(agency: BenchAgency, how: str) -> None:
    bench = Bench(agency)
    kept = bench.kept(bench.assignment(1, "PC 1"))
    if how == "device":
        kept = bench.kept(bench.assignment(1, "PC 1", device="another"))
    elif how == "role":
        kept = bench.kept(bench.command("PC 1"))
    else:
        kept["statement"] = kept["statement"].replace("PC 1", "PC 2")
    bench.it.remember(kept)
    assert (bench.it.version, bench.it.officer) == (0, "")
    ((kind, fields),) = bench.notes
    assert (kind, fields["part"]) == ("fault", "assignment")
    assert fields["reason"].startswith("the one in the ledger")


@pytest.mark.parametrize("how", ["device", "command", "role"])
def test_a_kept_officer_that_does_not_hold_is_told(agency: BenchAgency, how: str) -> None:
    bench = Bench(agency)
    said = bench.assignment(1, "PC 1")
    officer = {
        "device": lambda: bench.kept(bench.command("PC 7", device="another")),
        "command": lambda: bench.kept(bench.command("PC 7", command="status")),
        "role": lambda: bench.kept(said),
    }[how]()
    bench.it.remember(bench.kept(said), officer)
    assert bench.it.officer == "PC 1"
    ((kind, fields),) = bench.notes
    assert (kind, fields["part"]) == ("fault", "assignment")
    assert fields["reason"].startswith("the officer in the ledger")
