"""Both verifiers against the list of expected verdicts, which was there before them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.made_vault import Hand, MadeVault

import bwv_device.verification.second_verifier
from bwv_device.verification.second_verifier import Judge
from bwv_device.verification.vault_report import Report, verify
from sim.world.test_keys import BenchAgency

CASES = tomllib.loads((Path(__file__).parent / "verdicts.toml").read_text())["case"]


def word(report: Report) -> str:
    if not report.ok:
        return "changed"
    return "whole" if report.complete else "open"


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_both_verifiers_say_what_is_expected(
    case: dict[str, object], made_vault: MadeVault, agency: BenchAgency, tmp_path: Path
) -> None:
    vault = tmp_path / "vault"
    shutil.copytree(made_vault.path, vault)
    root = made_vault.root
    for words in case.get("do", []):
        Hand(vault, agency).do(words)
        if words == "foreign root":
            root = BenchAgency("another").root
    anchors = [made_vault.anchor] if case.get("anchor") else []

    first = verify(vault, [root], anchors)
    second = Judge(vault, [root], [anchor._asdict() for anchor in anchors])
    said = second.judge()

    assert word(first) == case["expect"], (first.problems, first.remarks)
    assert said == case["expect"], (second.complaints, second.loose)
    statuses = {v.name: v.status.value for v in first.segments if "not in" not in v.status.value}
    assert statuses == {n: v for n, v in second.verdicts.items() if "not in" not in v}


def test_the_list_covers_every_verdict() -> None:
    assert {case["expect"] for case in CASES} == {"whole", "open", "changed"}


def test_the_second_verifier_shares_no_code_and_is_short() -> None:
    path = Path(bwv_device.verification.second_verifier.__file__)
    text = path.read_text()
    assert len([line for line in text.splitlines() if line.strip()]) < 600  # docs/decisions/0009
    assert not any(
        line.startswith(("import bwv", "from bwv", "from hal", "from sim", "import sim"))
        for line in text.splitlines()
    )


def test_the_second_verifier_runs_by_itself(made_vault: MadeVault, tmp_path: Path) -> None:
    """Isolated from every installed package of ours, from any folder."""
    alone = tmp_path / "second.py"
    shutil.copyfile(bwv_device.verification.second_verifier.__file__, alone)
    done = subprocess.run(
        [sys.executable, str(alone), str(made_vault.path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "whole"), done.stdout
