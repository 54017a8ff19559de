"""Signatures and certificates check with openssl alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support.made_vault import MadeVault

from bwv_device import keys
from bwv_device.formats import signature
from bwv_device.formats.ledger_lines import parse_line
from sim.world.test_keys import BenchAgency


def openssl(*words: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *map(str, words)], capture_output=True, check=False)


def test_a_ledger_line_verifies(made_vault: MadeVault, tmp_path: Path) -> None:
    lines = (made_vault.path / "ledger" / "00000001.ledger").read_bytes().splitlines()
    boot = parse_line(lines[0])
    key = signature.public_key(bytes.fromhex(boot.fields["boot_key"]))
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "boot.pem").write_bytes(pem)
    for raw in lines[:5]:
        line = parse_line(raw)
        r, s = (int.from_bytes(half, "big") for half in (line.signature[:32], line.signature[32:]))
        (tmp_path / "signature").write_bytes(encode_dss_signature(r, s))
        (tmp_path / "signed").write_bytes(line.signed)
        dgst = ("dgst", "-sha256", "-verify", tmp_path / "boot.pem")
        done = openssl(*dgst, "-signature", tmp_path / "signature", tmp_path / "signed")
        assert done.stdout == b"Verified OK\n"
        (tmp_path / "signed").write_bytes(line.signed + b" ")
        done = openssl(*dgst, "-signature", tmp_path / "signature", tmp_path / "signed")
        assert done.returncode != 0


def test_the_device_certificate_leads_to_the_root(agency: BenchAgency, tmp_path: Path) -> None:
    for name in (keys.ROOT, keys.CA, keys.DEVICE):
        (tmp_path / name).write_bytes(agency.files[name])
    done = openssl(
        "verify", "-attime", 1_772_500_000, "-CAfile", tmp_path / keys.ROOT,
        "-untrusted", tmp_path / keys.CA, tmp_path / keys.DEVICE,
    )  # fmt: skip
    assert done.stdout.endswith(b": OK\n"), done.stderr
