"""Every bit of a vault closed in order is watched: 20,000 in `make ci`, all in `make campaign`."""

from __future__ import annotations

from pathlib import Path

from bwv_device.verification.vault_report import verify
from sim.sweeps.bit_flips import run, sampled, small_vault


def test_no_sampled_flip_goes_unnoticed(tmp_path: Path) -> None:
    root = small_vault(tmp_path / "vault")
    assert verify(tmp_path / "vault", [root]).complete

    outcome = run(tmp_path / "vault", root, sampled(tmp_path / "vault", 1500))

    assert outcome.tried == 1500
    assert outcome.unnoticed == []
    assert verify(tmp_path / "vault", [root]).complete, "the flips were not undone"
