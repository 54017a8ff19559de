"""`bwv custody init` and `trust`: everything is looked at before anything is made."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from test_cli import bwv

from bwv_device import keys
from bwv_device.formats import store_keys
from bwv_device.verification.tlog.signed_note import COSIGNATURE, ED25519, SignerKey
from hal.host import HostEntropy
from sim.world.test_keys import FOUNDED

WITNESS = str(SignerKey.from_seed("ombudsman.example/w1", COSIGNATURE, bytes(32)).verifier)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two agencies, a person of each of three roles, a camera, and an empty folder."""
    for name in ("agency", "other"):
        keys.make_agency(tmp_path / name, name, "X25519", HostEntropy(), FOUNDED)
    for name, role, agency in (
        ("Ada", "custodian", "agency"), ("Ben", "custodian", "agency"),
        ("Eve", "auditor", "agency"), ("Mallory", "custodian", "other"),
    ):  # fmt: skip
        keys.make_role(tmp_path / agency, tmp_path / "roles", name, role, HostEntropy(), FOUNDED)
    keys.make_device(tmp_path / "agency", tmp_path / "camera", "cam-7", HostEntropy(), FOUNDED)
    camera = tmp_path / "roles" / "cam.custodian-key.pem"
    camera.write_bytes(
        (tmp_path / "camera" / keys.DEVICE_KEY).read_bytes()
        + (tmp_path / "camera" / keys.DEVICE).read_bytes()
    )
    camera.chmod(0o600)
    (tmp_path / "evidence").mkdir()
    return tmp_path


def custody(site: Path, who: str, *words: str) -> subprocess.CompletedProcess[str]:
    return bwv("custody", "--as", f"roles/{who}-key.pem", *words, cwd=site)


def init(
    site: Path, who: str = "Ada.custodian", *words: str, agency: str = "agency"
) -> subprocess.CompletedProcess[str]:
    return custody(site, who, "init", "--agency", agency, "--out", "out", *words)


REFUSED = {
    "a role that may not": ("Eve.auditor", (), "agency", 13, "acts as auditor; this needs"),
    "another agency's person": ("Mallory.custodian", (), "agency", 5, "can't act here"),
    "a camera": ("cam.custodian", (), "agency", 5, "can't act here"),
    "another agency's root": ("Ada.custodian", (), "other", 13, "not signed by the agency's root"),
    "no root": ("Ada.custodian", (), "roles", 5, "root's key"),
    "junk for a witness": ("Ada.custodian", ("--witness", "x"), "agency", 5, "The witness 'x'"),
    "no address": ("Ada.custodian", ("--witness", f"{WITNESS} ftp://x"), "agency", 5, "address"),
    "a quorum of nobody": ("Ada.custodian", ("--quorum", "1"), "agency", 13, "more witnesses"),
    "a witness twice": (
        "Ada.custodian", ("--witness", WITNESS, "--witness", WITNESS), "agency", 13, "twice",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_is_made_where_it_can_not_be_finished(site: Path, name: str) -> None:
    who, words, agency, code, said = REFUSED[name]
    done = init(site, who, *words, agency=agency)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert done.stdout == ""
    assert list((site / "evidence").iterdir()) == []
    assert not (site / "out" / "log-key.txt").exists()
    assert init(site).returncode == 0, "and it can be made afterwards"


def test_a_store_is_made_once_and_what_was_interrupted_is_finished(site: Path) -> None:
    assert init(site).returncode == 0
    again = custody(site, "Ada.custodian", "init", "--agency", "agency", "--out", "out-2")
    assert again.returncode == 13
    assert "already" in again.stderr
    shutil.rmtree(site / "evidence" / "custody" / "ledger")  # as if it had ended before its line
    for path in site.glob("custody-index.sqlite*"):
        path.unlink()
    identity = (site / "evidence" / store_keys.STORE).read_bytes()
    assert init(site).returncode == 5, "its key is never overwritten"
    shutil.move(site / "out", site / "before")
    assert init(site).returncode == 0
    assert (site / "evidence" / store_keys.STORE).read_bytes() == identity


def test_two_persons_name_a_witness_and_end_a_key(site: Path) -> None:
    assert init(site).returncode == 0
    key = (site / "roles" / "Eve.auditor-key.pem").relative_to(site)
    done = custody(
        site, "Ada.custodian", "trust", "new", "--agency", "agency", "--out", "list-2.txt",
        "--witness", f"{WITNESS} https://w.example/x", "--revoke", str(key), "--reason", "left",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    alone = custody(site, "Ada.custodian", "trust", "approve", "2")
    assert "Nobody proposed version 2" in alone.stderr
    assert custody(site, "Ada.custodian", "trust", "propose", "list-2.txt").returncode == 0
    assert "Somebody else" in custody(site, "Ada.custodian", "trust", "approve", "2").stderr
    assert custody(site, "Ben.custodian", "trust", "approve", "2").returncode == 0
    shown = custody(site, "Ben.custodian", "trust", "show").stdout
    assert "version 2" in shown
    assert "witness ombudsman.example/w1 https://w.example/x" in shown
    done = custody(site, "Mallory.custodian", "trust", "propose", "list-2.txt")
    assert done.returncode == 5
    for junk in (b"", b"x" * 99, (site / "roles" / "Ada.custodian-key.pem").read_bytes()):
        (site / "junk.txt").write_bytes(junk)
        done = custody(site, "Ada.custodian", "trust", "propose", "junk.txt")
        assert (done.returncode, "can't be used" in done.stderr) == (13, True)
        assert "Traceback" not in done.stderr


def test_the_log_wants_its_own_key(site: Path) -> None:
    assert init(site).returncode == 0
    config = site / "custody.toml"
    other = SignerKey.from_seed("bwv-custody/x", ED25519, bytes(32))
    (site / "wrong.txt").write_text(other.secret + "\n")
    for name, mode, code, said in (
        ("out/log-key.txt", 0o600, 0, ""), ("out/log-key.txt", 0o644, 5, "read by others"),
        ("wrong.txt", 0o600, 13, "not the key of the store's log"),
        ("out/trust-list.txt", 0o600, 5, "not a private key"), ("none.txt", 0, 5, "can't be read"),
    ):  # fmt: skip
        config.write_text(f'[log]\nkey = "{name}"\n')
        if (site / name).exists():
            (site / name).chmod(mode)
        done = bwv("custody", "log", cwd=site)
        assert (done.returncode, said in done.stderr) == (code, True), (name, done.stderr)


def test_two_persons_agree_how_long_footage_stays(site: Path) -> None:
    assert init(site).returncode == 0
    built_in = custody(site, "Ada.custodian", "rules", "show")
    assert "erased after 31 days, hidden 7 before" in built_in.stdout
    assert "built in" in built_in.stderr
    (site / "custody.toml").write_text("[retention]\ndays = 40\n[categories]\nevidence = 400\n")
    done = custody(site, "Eve.auditor", "rules", "propose")
    assert (done.returncode, "this needs custodian" in done.stderr) == (13, True)
    assert custody(site, "Ada.custodian", "rules", "propose").returncode == 0
    assert "Somebody else" in custody(site, "Ada.custodian", "rules", "approve", "1").stderr
    assert "proposed by Ada, version 1" in custody(site, "Ben.custodian", "rules", "show").stdout
    done = custody(site, "Ben.custodian", "rules", "approve", "1")
    assert "erased after 40 days, hidden 7 before, 7 days after a late docking, evidence 400" in (
        done.stdout
    )
    again = custody(site, "Ben.custodian", "rules", "approve", "1")
    assert (again.returncode, "in force" in again.stderr) == (13, True)
    (site / "custody.toml").unlink()
    shown = custody(site, "Ben.custodian", "rules", "show")
    assert "in force: erased after 40 days" in shown.stdout
    assert "does not count" in shown.stderr


def test_a_persons_number_makes_one_person_of_two_names(site: Path) -> None:
    assert init(site).returncode == 0
    for name in ("Jo Smith", "Jo Jones"):
        done = bwv(
            "custody", "enrol", name, "--role", "custodian", "--agency", "agency",
            "--person", "4711", cwd=site,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    (site / "custody.toml").write_text("[retention]\ndays = 40\n")
    assert custody(site, "Jo-Smith.custodian", "rules", "propose").returncode == 0
    done = custody(site, "Jo-Jones.custodian", "rules", "approve", "1")
    assert (done.returncode, "Somebody else" in done.stderr) == (13, True)
    assert custody(site, "Ada.custodian", "rules", "approve", "1").returncode == 0
