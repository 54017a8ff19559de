"""The README's blocks, run in order, top to bottom, in a fresh home: `make readme`.

Blocks marked `sh` run as they stand. The others need what a test can't give: a Raspberry Pi, or
`make test`, which this may be a part of.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(sh)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = {"make live", "make test", "sudo make pi"}


def test_what_is_not_run_is_known() -> None:
    others = [body for kind, body in BLOCK.findall((ROOT / "README.md").read_text()) if not kind]
    assert {body.splitlines()[0].split("  ")[0] for body in others} == NOT_RUN


@pytest.mark.readme
def test_the_blocks_run_in_order(tmp_path: Path) -> None:
    tree = tmp_path / "bwv-device"
    subprocess.run(["git", "clone", "--quiet", ROOT, tree], check=True)
    # What the first command installs is there already; `make installers` tries the installation.
    (tree / ".venv").symlink_to(ROOT / ".venv")
    blocks = [body for kind, body in BLOCK.findall((tree / "README.md").read_text()) if kind]
    script = "set -e\n" + "\n".join(blocks).replace("make demo", "make -o .venv/installed demo")
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tree, env=environment, capture_output=True, text=True,
        check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Verified: nothing was changed" in done.stdout
    assert (tree / "segment.mp4").read_bytes()[4:8] == b"ftyp"
    assert list((tree / "export").glob("*.mp4"))
    assert (tree / "demo-shift" / "index.html").exists()
