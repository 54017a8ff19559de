"""Ledgers that claim a removal which no store allowed: both verifiers must say "changed"."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.camera_bench import Camera, make_camera

from bwv_device.camera.vault.ledger_writer import Ledger
from bwv_device.camera.vault.recovery import survey
from bwv_device.formats import statement
from bwv_device.formats.grammar.purposes import RECEIPT
from bwv_device.verification.second_verifier import Judge
from bwv_device.verification.vault_report import verify
from hal.simulated.disk import SimulatedDisk
from sim.world.custody_workers import BenchCustody, role
from sim.world.test_keys import BenchAgency

Lines = list[tuple[str, dict[str, Any]]]
NONCE = "ab" * 16


@pytest.fixture(scope="module")
def kept(agency: BenchAgency, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Camera]:
    """A vault with one sealed recording, closed in order, and one that was delivered before."""
    it = make_camera(agency, dock={"store": "bench", "poll_ms": 500}, video={"bitrate_kbps": 200},
                     recording={"segment_s": 10, "pre_event_s": 0})  # fmt: skip
    custody = BenchCustody(it, agency)
    custody.start()
    it.run(seconds=2)
    for docked in (True, False):
        it.press_record_twice()
        it.run(seconds=3)
        it.hold_record()
        it.run(seconds=2)
        if docked:
            it.put_in_dock(True)
            it.run(seconds=20)
            it.put_in_dock(False)
            it.run(seconds=2)
    it.shut_down()
    folder = tmp_path_factory.mktemp("kept") / "vault"
    it.disk.dump(folder)
    return folder, it


class Thief:
    """Has the camera's device key, and writes a boot of his own."""

    def __init__(self, vault: Path, agency: BenchAgency) -> None:
        self.vault, self.agency = vault, agency
        disk = SimulatedDisk()
        for path in sorted(p for p in vault.rglob("*") if p.is_file()):
            name = str(path.relative_to(vault))
            disk.create(name)
            disk.append(name, path.read_bytes())
        found = survey(disk, agency.device.certificate_pem)
        self.ledger = Ledger(agency.device, b"thief" * 10, found.boot + 1, found.head)
        report = verify(vault, [agency.root])
        self.claim = next(c for c in report.claims.values() if not c.wiped)
        self.delivered = next(c for c in report.claims.values() if c.wiped)
        self.data = self.ledger.boot_line(0, {"cause": "start"})
        self.certificate = role(agency, "intake 0", "intake").certificate_pem.decode()

    def fields(self, **changes: Any) -> dict[str, Any]:
        """What a receipt for the sealed file would say."""
        head = self.ledger.head
        return {
            "device": self.agency.device.device,
            "boot": self.ledger.boot,
            "segment": self.claim.name,
            "length": self.claim.length,
            "sha256": self.claim.sha256,
            "nonce": NONCE,
            "anchor": {"number": head.number, "digest": head.digest},
            "utc_ns": 0,
            "replicas": [],
            "hold": False,
            **changes,
        }

    def receipt(self, signer: statement.Signer, purpose: str = RECEIPT, **changes: Any) -> str:
        return statement.make(signer, purpose, self.fields(**changes)).split(b"\n")[0].decode()

    def write(self, lines: Lines, *, remove: bool = True) -> None:
        for number, (kind, fields) in enumerate(lines):
            self.data += self.ledger.line(kind, number + 1, fields)
        self.data += self.ledger.line("stop", 99, {})
        (self.vault / self.ledger.path).write_bytes(self.data)
        if remove:
            (self.vault / "footage" / self.claim.name).unlink()


def dock(thief: Thief, nonce: str = NONCE) -> tuple[str, dict[str, Any]]:
    line = ("dock", {"docked": True, "nonce": nonce})
    thief.data += thief.ledger.line(line[0], 1, line[1])
    return line


def intake(thief: Thief) -> statement.Signer:
    return role(thief.agency, "intake 0", "intake")


def said(thief: Thief, text: str, name: str = "", certificate: str = "") -> Lines:
    name = name or thief.claim.name
    return [
        ("custodian", {"certificate": certificate or thief.certificate}),
        ("receipt", {"segment": name, "statement": text}),
        ("wipe", {"segment": name}),
    ]


def no_receipt(thief: Thief) -> Lines:
    return [("wipe", {"segment": thief.claim.name})]


def self_signed(thief: Thief) -> Lines:
    dock(thief)
    device = thief.agency.device
    text = thief.receipt(device)
    return said(thief, text, certificate=device.certificate_pem.decode())


def other_agency(thief: Thief) -> Lines:
    dock(thief)
    signer = role(BenchAgency("another"), "x", "intake")
    return said(thief, thief.receipt(signer), certificate=signer.certificate_pem.decode())


def wrong_role(thief: Thief) -> Lines:
    dock(thief)
    signer = role(thief.agency, "x", "custodian")
    return said(thief, thief.receipt(signer), certificate=signer.certificate_pem.decode())


def nobody_introduced(thief: Thief) -> Lines:
    dock(thief)
    return said(thief, thief.receipt(intake(thief)))[1:]


def not_docked(thief: Thief) -> Lines:
    return said(thief, thief.receipt(intake(thief)))


def other_docking(thief: Thief) -> Lines:
    dock(thief, "cd" * 16)
    return said(thief, thief.receipt(intake(thief)))


def other_file(thief: Thief) -> Lines:
    dock(thief)
    return said(thief, thief.receipt(intake(thief), sha256="00" * 32))


def other_length(thief: Thief) -> Lines:
    dock(thief)
    return said(thief, thief.receipt(intake(thief), length=(thief.claim.length or 0) + 1))


def other_camera(thief: Thief) -> Lines:
    dock(thief)
    return said(thief, thief.receipt(intake(thief), device="cam-9"))


def other_purpose(thief: Thief) -> Lines:
    dock(thief)
    return said(thief, thief.receipt(intake(thief), purpose="bwv refusal v1"))


def later_anchor(thief: Thief) -> Lines:
    dock(thief)
    anchor = {"number": thief.ledger.head.number + 1, "digest": thief.ledger.head.digest}
    return said(thief, thief.receipt(intake(thief), anchor=anchor))


def twice(thief: Thief) -> Lines:
    dock(thief)
    lines = said(thief, thief.receipt(intake(thief)))
    return [*lines, lines[-1]]


def delivered_before(thief: Thief) -> Lines:
    dock(thief)
    claim = thief.delivered
    text = thief.receipt(
        intake(thief), segment=claim.name, length=claim.length, sha256=claim.sha256
    )
    return said(thief, text, claim.name)


def broken_text(thief: Thief) -> Lines:
    dock(thief)
    return said(thief, thief.receipt(intake(thief))[:-2] + "00")


def no_text(thief: Thief) -> Lines:
    dock(thief)
    return said(thief, 5)  # type: ignore[arg-type]


def not_canonical(thief: Thief) -> Lines:
    dock(thief)
    signed, _, mark = thief.receipt(intake(thief)).partition("\t")
    return said(thief, json.dumps(json.loads(signed)) + "\t" + mark)


def no_certificate(thief: Thief) -> Lines:
    dock(thief)
    return said(thief, thief.receipt(intake(thief)), certificate="-----BEGIN NOTHING-----\n")


FORGERIES = [
    no_receipt, self_signed, other_agency, wrong_role, nobody_introduced, not_docked,
    other_docking, other_file, other_length, other_camera, other_purpose, later_anchor, twice,
    delivered_before, broken_text, no_text, not_canonical, no_certificate,
]  # fmt: skip


def judged(vault: Path, agency: BenchAgency) -> tuple[bool, str]:
    report = verify(vault, [agency.root])
    return report.ok, Judge(vault, [agency.root]).judge()


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
@pytest.mark.parametrize("remove", [True, False])
def test_a_removal_that_no_store_allowed_is_found(
    forge: Callable[[Thief], Lines],
    remove: bool,
    kept: tuple[Path, Camera],
    agency: BenchAgency,
    tmp_path: Path,
) -> None:
    vault = tmp_path / "vault"
    shutil.copytree(kept[0], vault)
    thief = Thief(vault, agency)
    thief.write(forge(thief), remove=remove)
    assert judged(vault, agency) == (False, "changed")


def test_an_allowed_one_is_whole(
    kept: tuple[Path, Camera], agency: BenchAgency, tmp_path: Path
) -> None:
    """The control: the same hands, and a true receipt."""
    for remove in (True, False):
        vault = tmp_path / f"vault-{remove}"
        shutil.copytree(kept[0], vault)
        thief = Thief(vault, agency)
        dock(thief)
        thief.write(said(thief, thief.receipt(intake(thief))), remove=remove)
        assert judged(vault, agency) == (True, "whole")
        status = {v.name: v.status.value for v in verify(vault, [agency.root]).segments}
        assert set(status.values()) == {"delivered"}


def test_what_comes_back_altered_is_found(
    kept: tuple[Path, Camera], agency: BenchAgency, tmp_path: Path
) -> None:
    vault = tmp_path / "vault"
    shutil.copytree(kept[0], vault)
    thief = Thief(vault, agency)
    (vault / "footage" / thief.delivered.name).write_bytes(b"something else")
    assert judged(vault, agency) == (False, "changed")
