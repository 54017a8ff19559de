"""Two programs that wrote one vault: the next boot names both branches and starts anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from bwv_device.camera.vault.recovery import Recovered, boot_vault, survey
from bwv_device.camera.vault.vault import Vault
from bwv_device.formats.ledger_lines import START, Head, Line, branches_head
from bwv_device.verification.chain_ends import ChainEnds, End, Link
from bwv_device.verification.second_verifier import Judge
from bwv_device.verification.vault_report import FileStatus, Report, verify
from hal.ports import Anchor
from hal.simulated.disk import Bytes, Names, PowerCut, SimulatedDisk, Tear
from sim.world.test_keys import BenchAgency

HEADER = "header"


class Card:
    """A card that several programs write, and what verifiers say of it."""

    def __init__(self, agency: BenchAgency, folder: Path) -> None:
        self.disk, self._agency, self._folder = SimulatedDisk(), agency, folder
        self._dumps = 0

    def boot(self) -> tuple[Vault, Recovered]:
        entropy = bytes([len(self.disk.names("ledger")) + 1]) * 48
        return boot_vault(self.disk, self._agency.device, entropy, 0, {}, "power cut")

    def booted(self) -> bool:
        """Whether a boot gets through before the power goes."""
        try:
            self.boot()
        except PowerCut:
            return False
        return True

    def verify(self, *anchors: Anchor) -> Report:
        """Both verifiers must agree."""
        self._dumps += 1
        vault = self._folder / f"dump-{self._dumps}"
        self.disk.dump(vault)
        report = verify(vault, [self._agency.root], anchors)
        second = Judge(vault, [self._agency.root], [a._asdict() for a in anchors])
        said = second.judge()
        first = "changed" if not report.ok else "whole" if report.complete else "open"
        assert said == first, (report.problems, report.remarks, second.complaints, second.loose)
        statuses = {v.name: v.status.value for v in report.segments}
        assert statuses == second.verdicts
        return report


class Writer:
    """One program: its vault, and a segment under way."""

    def __init__(self, card: Card) -> None:
        self.vault, self.recovered = card.boot()
        self.boot = self.recovered.anchor.boot
        self._digested = b""

    def opens(self, number: int = 1) -> str:
        self.name = f"{self.boot:08d}-0001-{number:04d}.mp4.age"
        fields = {"recording": self.name[:13], "header": HEADER, "nonce": "00" * 16,
                  "first_pts_ns": 0}  # fmt: skip
        self.vault.open(self.name, HEADER.encode() + bytes(16), 1, fields)
        return self.name

    def appends(self, data: bytes = b"chunk") -> None:
        self.vault.append(self.name, [data], 2, {})

    def seals(self) -> str:
        self.vault.seal(self.name, [b"last"], 3, {"plaintext_sha256": "0" * 64})
        return self.name

    def stops(self) -> Anchor:
        return self.vault.note("stop", 4, {})


@pytest.fixture
def card(agency: BenchAgency, tmp_path: Path) -> Card:
    return Card(agency, tmp_path)


def forked(card: Card) -> tuple[Writer, Writer]:
    """Both write in turn; each finishes a segment, the first has another open."""
    first = Writer(card)
    sealed = first.opens()
    first.appends()
    second = Writer(card)
    second.opens()
    second.appends()
    first.appends()
    assert first.seals() == sealed
    first.opens(2)
    first.appends()
    second.seals()
    second.stops()
    return first, second


def test_a_fork_is_seen_for_what_it_is(card: Card) -> None:
    forked(card)
    report = card.verify()
    assert not report.ok
    assert any("the ledger forks" in problem for problem in report.problems)


def test_the_next_boot_names_both_branches_and_is_whole_since(card: Card) -> None:
    first, second = forked(card)
    third = Writer(card)
    line = third.recovered.found
    assert [end.boot for end in line.branches] == [first.boot, second.boot]
    third.opens()
    third.appends()
    third.seals()
    third.stops()

    report = card.verify()
    assert report.ok, report.problems
    assert report.whole_since == third.boot
    assert len(report.branches) == 2
    assert any("2 branches before" in remark for remark in report.remarks)
    status = {v.name: v.status for v in report.segments}
    assert status[third.name] is FileStatus.SEALED
    assert status[second.name] is FileStatus.SEALED
    assert status[first.name] is FileStatus.BRANCH  # the first had it open

    fourth = Writer(card)
    assert not fourth.recovered.found.branches
    fourth.stops()
    assert card.verify().ok


def test_heads_of_either_branch_are_known_and_no_others(card: Card) -> None:
    first, second = forked(card)
    heads = first.vault.anchor, second.vault.anchor
    Writer(card).stops()
    assert card.verify(*heads).ok
    elsewhere = heads[0]._replace(digest="ab" * 32)
    assert not card.verify(elsewhere).ok


def test_what_is_missing_in_a_branch_stays_missing(card: Card) -> None:
    _, second = forked(card)
    Writer(card).stops()
    card.disk.remove(f"footage/{second.name}")
    assert not card.verify().ok


def test_what_a_branch_finished_may_not_be_altered(card: Card) -> None:
    _, second = forked(card)
    Writer(card).stops()
    card.disk.append(f"footage/{second.name}", b"more")
    assert not card.verify().ok


def test_a_branch_that_is_taken_away_afterwards_is_missed(card: Card) -> None:
    first, _ = forked(card)
    Writer(card).stops()
    card.disk.remove(f"ledger/{first.boot:08d}.ledger")
    assert not card.verify().ok


def test_a_card_put_back_does_not_launder_itself(card: Card, agency: BenchAgency) -> None:
    """What was written since the image is in neither branch."""
    first = Writer(card)
    first.opens()
    image = card.disk.names("ledger"), card.disk.read("ledger/00000001.ledger")
    first.appends()
    shown = first.vault.anchor
    card.disk.remove("ledger/00000001.ledger")
    card.disk.create("ledger/00000001.ledger")
    card.disk.append("ledger/00000001.ledger", image[1])
    Writer(card).stops()
    Writer(card).stops()
    assert not card.verify(shown).ok


def test_both_began_behind_the_same_line(card: Card) -> None:
    """The second found the first one's file without a line yet."""
    Writer(card).stops()
    path = "ledger/00000002.ledger"
    first = Writer(card)
    kept = card.disk.read(path)
    card.disk.remove(path)
    card.disk.create(path)
    second = Writer(card)
    assert (first.boot, second.boot) == (2, 3)
    card.disk.append(path, kept)
    second.stops()
    third = Writer(card)
    assert [end.boot for end in third.recovered.found.branches] == [2, 3]
    third.stops()
    report = card.verify()
    assert report.ok, report.problems


@pytest.mark.parametrize("torn", ["first", "second"])
def test_torn_ends_of_branches_are_named(card: Card, torn: str) -> None:
    first, second = forked(card)
    writer = {"first": first, "second": second}[torn]
    card.disk.append(f"ledger/{writer.boot:08d}.ledger", b'{"half":')
    third = Writer(card)
    assert [t.length for t in third.recovered.found.torn] == [8]
    third.stops()
    report = card.verify()
    assert report.ok, report.problems


def test_cut_off_while_it_is_healed_it_is_healed_by_the_next_boot(
    agency: BenchAgency, tmp_path: Path
) -> None:
    """At every operation of that boot, with what was not synced there, gone, or torn."""
    for tear in (Tear(Bytes.ALL, Names.WITH), Tear(Bytes.NONE, Names.WITHOUT),
                 Tear(Bytes.PART, Names.WITH)):  # fmt: skip
        number, cut = 0, True
        while cut:
            card = Card(agency, tmp_path / f"{tear.data.name}-{number}")
            forked(card)
            card.disk.cut_before = len(card.disk.operations) + number
            cut = not card.booted()
            card.disk.cut(tear)
            Writer(card).stops()
            report = card.verify()
            assert report.ok, (tear, number, report.problems)
            assert report.whole_since
            number += 1
        assert number > 6


def test_the_command_counter_of_both_branches_is_carried_over(card: Card) -> None:
    first = Writer(card)
    second = Writer(card)
    first.vault.note("recovery", 1, {"segments": 0, "commands": 7})
    second.vault.note("recovery", 1, {"segments": 0, "commands": 5})
    assert Writer(card).recovered.found.commands == 7
    assert survey(card.disk, card._agency.device.certificate_pem).commands == 7


@pytest.mark.parametrize("branches", ["text", [1], [{"boot": "x"}], [{}]])
def test_a_line_of_another_form_ends_no_boot(card: Card, branches: object) -> None:
    writer = Writer(card)
    writer.vault.note("fault", 1, {"branches": branches, "boot": 1})
    assert Writer(card).boot == 2


def test_what_another_branch_found_of_an_open_file_is_left_out(card: Card) -> None:
    """The second attests the file as it is at its boot; the first goes on with it."""
    first = Writer(card)
    name = first.opens()
    first.appends()
    Writer(card).stops()
    first.appends()
    Writer(card).stops()
    report = card.verify()
    assert report.ok, report.problems
    assert {v.name: v.status for v in report.segments} == {name: FileStatus.BRANCH}


def test_cut_off_behind_its_first_line_the_healing_goes_on(card: Card) -> None:
    """What branches leave is carried over, and nothing is said of their files."""
    first = Writer(card)
    second = Writer(card)
    first.vault.note("recovery", 1, {"segments": 0, "commands": 7})
    second.vault.note("recovery", 1, {"segments": 0, "commands": 5})
    card.disk.create("footage/00000001-0009-0001.mp4.age.part")
    lines = len(Writer(card).recovered.found.branches)
    assert lines == 2
    path = "ledger/00000003.ledger"
    begun = card.disk.read(path).split(b"\n")[0] + b"\n"
    card.disk.remove(path)
    card.disk.create(path)
    card.disk.append(path, begun)
    fourth = Writer(card)
    assert fourth.recovered.found.commands == 7
    assert fourth.recovered.segments == []
    fourth.stops()
    report = card.verify()
    assert report.ok, report.problems
    assert report.whole_since == 3


def test_a_first_line_heals_only_what_stands_there() -> None:
    ends = [End(1, 4, "a" * 64), End(2, 3, "b" * 64)]
    right = branches_head(ends)

    def link(named: object, before: Head) -> Link:
        known = ChainEnds()
        known.link(_first(START))
        for end in ends:
            known.ended(end.boot, end.head)
        return known.link(_first(before, branches=named))

    named = [end._asdict() for end in ends]
    assert link(named, right) is Link.HEALS
    assert link(named[:1], right) is Link.BREAKS
    assert link([*named[:1], {**named[1], "number": 2}], right) is Link.BREAKS
    assert link("all", right) is Link.BREAKS
    assert link(named, right._replace(number=right.number + 1)) is Link.BREAKS
    assert link(named, right._replace(digest="c" * 64)) is Link.BREAKS


def _first(before: Head, **fields: object) -> Line:
    said = {"n": before.number + 1, "prev": before.digest, "t": 0, "kind": "boot", **fields}
    return Line(said, b"", b"", "d" * 64)


def test_one_chain_is_no_fork(card: Card) -> None:
    for _ in range(4):
        writer = Writer(card)
        assert not writer.recovered.found.branches
        writer.opens()
        writer.appends()
    assert Writer(card).recovered.found.branches == ()
