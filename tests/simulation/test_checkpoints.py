"""A camera that is not switched off for weeks starts as quickly as any: its boot reads no further
back than to the newest checkpoint, and loses nothing by that."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from support.camera_bench import Camera, make_camera

from bwv_device.camera.vault.checkpoint import Standing
from bwv_device.camera.vault.ledger_writer import Ledger
from bwv_device.camera.vault.recovery import boot_vault, survey
from bwv_device.camera.vault.signed_lines import SignedLines, found_backwards
from bwv_device.camera.vault.vault import SegmentLostError, Vault
from bwv_device.formats.ledger_lines import START, ledger_path
from bwv_device.formats.vault_layout import SegmentName
from bwv_device.verification.second_verifier import Judge
from bwv_device.verification.vault_report import verify
from hal.simulated.disk import TEARS, SimulatedDisk
from sim.world.test_keys import BenchAgency

LEDGER = ledger_path(1)
SEAL = {"plaintext_sha256": "0" * 64}
ASSIGNED = {"statement": "assigned", "certificate": "by"}


class Counting:
    """A disk that counts the bytes that are read of ledgers."""

    def __init__(self, disk: SimulatedDisk) -> None:
        self._disk, self.read_bytes = disk, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._disk, name)

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        data = self._disk.read(path, offset, length)
        self.read_bytes += len(data) if path.startswith("ledger/") else 0
        return data


def boot(disk: SimulatedDisk, agency: BenchAgency, number: int = 1) -> Vault:
    return boot_vault(disk, agency.device, bytes([number]) * 48, 0, {}, "power cut")[0]


def opened(vault: Vault, name: SegmentName) -> None:
    fields = {"recording": name.recording_id, "header": "h", "nonce": "0" * 32, "first_pts_ns": 0}
    vault.open(str(name), b"h" + bytes(16), 0, fields)


def recorded(vault: Vault, number: int, *, boot: int = 1, syncs: int = 3) -> None:
    """A recording of one segment, closed."""
    name = SegmentName(boot, number, 1)
    opened(vault, name)
    for _ in range(syncs):
        vault.append(str(name), [b"y" * 64], 0, {})
    vault.seal(str(name), [b"x"], 0, SEAL)
    vault.close(name.recording_id, str(name), 0, {"reason": "officer"})


def still(vault: Vault, number: int, recording: int = 1) -> str:
    name = SegmentName(1, recording, number, ".jpg.age")
    vault.keep(str(name), [b"picture"], 0, {"recording": name.recording_id, "pts_ns": 0})
    return str(name)


def found(disk: SimulatedDisk, agency: BenchAgency) -> Any:
    return survey(disk, agency.device.certificate_pem)


def test_a_boot_reads_from_the_checkpoint_on(agency: BenchAgency) -> None:
    """However long the boot lasted before it: three blocks at most, in lines that are as long as
    a line may be."""
    disk = SimulatedDisk()
    vault = boot(disk, agency)
    for _ in range(10):
        vault.note("fault", 0, {"reason": "x" * 4000, "padding": "y" * (1 << 19)})
    recorded(vault, 1)
    counting = Counting(disk)
    walked = SignedLines(counting, agency.device.certificate_pem).file(1)  # type: ignore[arg-type]
    assert walked.trusted
    assert [line.kind for line, _ in walked.lines()] == ["boot", "checkpoint"]
    assert disk.size(LEDGER) > 5 << 20
    assert counting.read_bytes <= 3 << 20
    whole = SignedLines(disk, agency.device.certificate_pem).file(1, whole=True)
    assert walked.head == whole.head
    assert walked.end == whole.end == disk.size(LEDGER)


def test_nothing_that_a_boot_must_know_is_forgotten(agency: BenchAgency) -> None:
    disk = SimulatedDisk()
    vault = boot(disk, agency)
    vault.note("assignment", 0, ASSIGNED)
    officer = {"statement": "named", "certificate": "by"}
    vault.note("officer", 0, officer)
    vault.note("recovery", 0, {"segments": 0, "commands": 7})
    recorded(vault, 1)
    opened(vault, SegmentName(1, 2, 1))
    was = found(disk, agency)
    assert (was.assignment, was.officer, was.commands) == (ASSIGNED, officer, 7)
    assert was.open_recording == "00000001-0002"
    assert [segment.name for segment in was.open_segments] == [str(SegmentName(1, 2, 1))]
    again = boot(disk, agency, 2)
    recorded(again, 1, boot=2)
    assert found(disk, agency)._replace(boot=1, head=was.head, orderly=False) == was._replace(
        open_segments=[], open_recording=None
    )


def test_a_newer_assignment_ends_what_a_command_said(agency: BenchAgency) -> None:
    disk = SimulatedDisk()
    vault = boot(disk, agency)
    vault.note("officer", 0, ASSIGNED)
    vault.note("assignment", 0, ASSIGNED)
    recorded(vault, 1)
    assert found(disk, agency).officer is None


def test_what_is_begun_behind_a_checkpoint_is_found(agency: BenchAgency) -> None:
    """A file whose `open` line was lost, and a still that was kept after its recording's end."""
    disk = SimulatedDisk()
    vault = boot(disk, agency)
    kept = still(vault, 1)
    recorded(vault, 1)
    assert found(disk, agency).open_segments == []
    late = SegmentName(1, 1, 2, ".jpg.age")
    lost = SegmentName(1, 2, 1)
    for name in (f"{late}", f"{lost}.part"):
        disk.create(f"footage/{name}")
    names = {segment.name for segment in found(disk, agency).open_segments}
    assert names == {str(late), str(lost)}
    assert kept not in names


@pytest.mark.parametrize("part", ["a segment", "a still"])
def test_behind_a_file_that_met_an_error_there_is_no_checkpoint(
    agency: BenchAgency, part: str
) -> None:
    disk = SimulatedDisk()
    vault = boot(disk, agency)
    name = SegmentName(1, 1, 1)
    disk.refuse = lambda operation: 5 if "footage" in operation.path else 0

    def begin() -> None:
        if part == "a still":
            still(vault, 1)
        else:
            opened(vault, name)

    with pytest.raises(OSError, match="Input/output"):
        begin()
    disk.refuse = lambda operation: 0
    recorded(vault, 2)
    assert b'"kind":"checkpoint"' not in disk.read(LEDGER)
    with pytest.raises(SegmentLostError):
        vault.append(str(name), [], 0, {})


def test_none_stands_while_another_recording_goes_on(agency: BenchAgency) -> None:
    """As at a roll-over: the next one begins before the one before is closed."""
    disk = SimulatedDisk()
    vault = boot(disk, agency)
    first, second = SegmentName(1, 1, 1), SegmentName(1, 2, 1)
    opened(vault, first)
    opened(vault, second)
    vault.seal(str(first), [b"x"], 0, SEAL)
    vault.close(first.recording_id, str(first), 0, {"reason": "roll-over"})
    assert b'"kind":"checkpoint"' not in disk.read(LEDGER)
    vault.seal(str(second), [b"x"], 0, SEAL)
    vault.close(second.recording_id, str(second), 0, {"reason": "officer"})
    assert disk.read(LEDGER).count(b'"kind":"checkpoint"') == 1


def test_a_copy_of_an_older_checkpoint_takes_nothing_back(agency: BenchAgency) -> None:
    """Whoever has the card copies everything from an older checkpoint on behind the end: the
    counter of commands must not go back, or an old command could be given again."""
    disk = SimulatedDisk()
    vault = boot(disk, agency)
    vault.note("recovery", 0, {"segments": 0, "commands": 5})
    recorded(vault, 1)
    older = disk.size(LEDGER)
    vault.note("recovery", 0, {"segments": 0, "commands": 9})
    recorded(vault, 2)
    data = disk.read(LEDGER)
    at = next(found_backwards(disk, LEDGER, older, b'"kind":"checkpoint"'))
    disk.append(LEDGER, data[at:older])
    looked = found(disk, agency)
    assert looked.commands == 9
    assert [torn.length for torn in looked.torn] == [older - at]
    assert looked.torn[0].sha256 == hashlib.sha256(data[at:older]).hexdigest()


def test_a_checkpoint_by_somebody_else_is_none(agency: BenchAgency) -> None:
    disk = SimulatedDisk()
    vault = boot(disk, agency)
    recorded(vault, 1)
    head, size = vault.anchor, disk.size(LEDGER)
    stranger = Ledger(agency.device, b"stranger" * 6, 1, START)
    fields = Standing().line(size) | {"recording": "00000001-0099", "commands": 99}
    disk.append(LEDGER, stranger.line("checkpoint", 0, fields))
    looked = found(disk, agency)
    assert looked.commands == 0
    assert looked.head.number == head.number
    assert looked.torn[0].length == disk.size(LEDGER) - size


def test_many_false_ones_only_cost_time(agency: BenchAgency) -> None:
    disk = SimulatedDisk()
    vault = boot(disk, agency)
    vault.note("assignment", 0, ASSIGNED)
    recorded(vault, 1)
    disk.append(LEDGER, b'"kind":"checkpoint"\n' * 5000)
    looked = found(disk, agency)
    assert looked.assignment == ASSIGNED
    assert looked.head.number == vault.anchor.number


def test_a_line_that_was_in_doubt_is_no_checkpoint(agency: BenchAgency) -> None:
    """A failed sync: what the disk holds behind the last acknowledged line does not count."""
    disk = SimulatedDisk()
    vault = boot(disk, agency)
    recorded(vault, 1)
    acknowledged = vault.acknowledged
    recorded(vault, 2)
    looked = survey(disk, agency.device.certificate_pem, acknowledged)
    assert looked.head == acknowledged
    assert [segment.name for segment in looked.open_segments] == [str(SegmentName(1, 2, 1))]


def test_lines_are_found_backwards_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bwv_device.camera.vault.signed_lines.READ_BLOCK", 7)
    disk = SimulatedDisk()
    disk.create("ledger/x")
    lines = [b"a mark\n", b"none\n", b"x" * 30 + b" mark\n", b"mark mark\n", b"\n", b"torn mark"]
    disk.append("ledger/x", b"".join(lines))
    size = disk.size("ledger/x")
    begins = [sum(map(len, lines[:index])) for index in range(len(lines))]
    marked = [begins[index] for index in (5, 3, 2, 0)]
    assert list(found_backwards(disk, "ledger/x", size, b"mark")) == marked
    assert list(found_backwards(disk, "ledger/x", begins[5], b"mark")) == marked[1:]


def test_both_verifiers_report_one_that_forgets_an_open_file(
    agency: BenchAgency, tmp_path: Path
) -> None:
    """The control: without the false line the vault is only open."""
    for lies in (False, True):
        disk = SimulatedDisk()
        vault = boot(disk, agency)
        opened(vault, SegmentName(1, 1, 1))
        if lies:
            vault.note("checkpoint", 0, {"offset": 0, "recording": "", "stills": 0})
        folder = tmp_path / str(lies)
        disk.dump(folder)
        report = verify(folder, [agency.root])
        assert any("nothing is open" in problem for problem in report.problems) is lies
        judge = Judge(folder, (agency.root,))
        judge.judge()
        assert any("checkpoint while" in complaint for complaint in judge.complaints) is lies


def test_a_shift_with_many_recordings_is_whole(agency: BenchAgency, tmp_path: Path) -> None:
    it: Camera = make_camera(agency, recording={"segment_s": 10, "pre_event_s": 0})
    it.run(seconds=2)
    for _ in range(3):
        it.press_record_twice()
        it.run(seconds=3)
        it.hold_record()
        it.run(seconds=3)
    assert len(it.ledger("checkpoint")) == 3
    it.power_cut(TEARS[0])
    it.boot()
    it.run(seconds=2)
    assert it.ledger("recovery")[-1]["segments"] == 0
    it.shut_down()
    it.disk.dump(tmp_path / "vault")
    assert verify(tmp_path / "vault", [agency.root]).ok
