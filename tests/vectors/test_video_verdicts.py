"""Films and the answers that every verifier must give; the answers were written first."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

import bwv_device.verification.second_video_verifier
from bwv_device.formats.media.signing_sei import is_signing_sei
from bwv_device.verification.second_video_verifier import Film
from bwv_device.verification.video_signatures import Answer, judge_video
from sim.sweeps.video_mutations import VideoMutations

HERE = Path(__file__).parent / "video"
CASES = tomllib.loads((HERE / "verdicts.toml").read_text())["case"]
ANSWERS = {
    "genuine": Answer.GENUINE, "exception": Answer.EXCEPTION, "not genuine": Answer.NOT_GENUINE,
}  # fmt: skip
ROOT = x509.load_pem_x509_certificate((HERE / "root.pem").read_bytes())
SECOND = Path(str(bwv_device.verification.second_video_verifier.__file__))


def pictures() -> dict[str, list[bytes]]:
    """NAL units of each access unit, by its name."""
    made: dict[str, list[bytes]] = {}
    waiting: list[bytes] = []
    for nal in re.split(rb"\x00\x00\x00\x01", (HERE / "base.h264").read_bytes())[1:]:
        kind = nal[0] & 31
        if kind in (1, 5) and nal[1] & 0x80:
            made[f"{'I' if kind == 5 else 'P'}{len(made)}"] = waiting = [*waiting, nal]
            waiting = []
        elif kind in (1, 5) or (is_signing_sei(nal) and made and _ends(made)):
            made[list(made)[-1]].append(nal)
        else:
            waiting.append(nal)
    return made


def _ends(made: dict[str, list[bytes]]) -> bool:
    return list(made)[-1] in ("P5", "P11")


PICTURES = pictures()


def film(text: str) -> list[bytes]:
    made: list[bytes] = []
    for word in text.split():
        name, without, flip = word.rstrip("~").split("^")[0], word.endswith("~"), word[-2:]
        units = [nal for nal in PICTURES[name] if not (without and is_signing_sei(nal))]
        made += [_flipped(nal) if _is_meant(nal, flip) else nal for nal in units]
    return made


def _is_meant(nal: bytes, flip: str) -> bool:
    kind = nal[0] & 31
    return (
        (flip == "^p" and kind in (1, 5))
        or (flip == "^s" and is_signing_sei(nal))
        or (flip == "^v" and kind == 7)
    )


def _flipped(nal: bytes) -> bytes:
    at = len(nal) // 2
    return nal[:at] + bytes([nal[at] ^ 1]) + nal[at + 1 :]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_both_verifiers_answer_as_written(case: dict[str, Any]) -> None:
    nals = film(case["film"])
    told = judge_video(nals, [ROOT])
    assert told.answer is ANSWERS[case["answer"]], told
    second = Film([ROOT])
    assert second.judge(iter(nals)) == case["answer"], second.false


def test_the_second_shares_no_code_and_runs_by_itself(tmp_path: Path) -> None:
    source = SECOND.read_text()
    assert not re.search(r"^\s*(from|import) (bwv_device|hal|sim)", source, re.MULTILINE)
    alone = tmp_path / "verify_film.py"
    alone.write_text(source)
    command = [sys.executable, "-I", alone, HERE / "base.h264", "--root", HERE / "root.pem"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "genuine\n"), done.stderr


def test_two_verifiers_never_disagree_on_drawn_changes() -> None:
    """The rest is in the campaign."""
    outcome = VideoMutations().run(range(300))
    assert outcome.failures == []
    assert min(outcome.answers.values()) > 10, outcome.answers
