"""`bwv-sim` as a person and a CI meet it: what it prints, what it writes, how it exits."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

BWV_SIM = [sys.executable, "-m", "sim"]


def bwv_sim(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*BWV_SIM, *arguments], capture_output=True, text=True, check=False, cwd=cwd, timeout=120
    )


def test_run_prints_transitions_and_the_verdict() -> None:
    done = bwv_sim("run", "--seed", "7", "--hours", "0.1", "--faults", "camera-stall", "-v")
    assert done.returncode == 0, done.stdout
    assert re.search(r"^0:\d\d:\d\d\.\d{3}  ready → recording \(start\)$", done.stdout, re.M)
    assert "every promise was kept" in done.stdout
    assert re.search(r"^digest: [0-9a-f]{64}$", done.stdout, re.M)
    again = bwv_sim("run", "--seed", "7", "--hours", "0.1", "--faults", "camera-stall")
    assert again.stdout.splitlines()[-4:] == done.stdout.splitlines()[-4:]


def test_run_leaves_a_vault_and_a_page(tmp_path: Path) -> None:
    folder = tmp_path / "shift"
    done = bwv_sim("run", "--seed", "7", "--hours", "0.1", "--out", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every promise was kept" in done.stdout
    verified = subprocess.run(
        [sys.executable, "-m", "bwv_device", "verify", str(folder / "vault"), "--root",
         str(folder / "agency-root.pem")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stdout
    page = (folder / "index.html").read_text()
    assert "Every promise was kept" in page
    assert "ready → recording (start)" in page
    again = bwv_sim("run", "--seed", "7", "--out", str(folder))
    assert again.returncode == 20
    assert "is not empty" in again.stderr


def test_ctrl_c_ends_a_shift_early_with_what_it_has(tmp_path: Path) -> None:
    folder = tmp_path / "shift"
    with subprocess.Popen(
        [*BWV_SIM, "run", "--seed", "7", "--hours", "12", "-v", "--out", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        assert running.stdout
        assert running.stdout.readline()
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=120)
    assert running.returncode == 0, out[-500:] + err
    assert re.search(r"Ended early, after \d+ of 43200 s", err)
    assert "every promise was kept" in out
    assert "ended early by hand" in (folder / "index.html").read_text()


def test_campaign_writes_junit_and_json(tmp_path: Path) -> None:
    junit, summary = tmp_path / "junit.xml", tmp_path / "summary.json"
    done = bwv_sim(
        "campaign", "--seeds", "3:7", "--hours", "0.1", "--junit", str(junit), "--json",
        str(summary),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "4 shifts" in done.stdout
    cases = [case.get("name") for case in ET.parse(junit).getroot().iter("testcase")]
    assert cases == ["seed 3", "seed 4", "seed 5", "seed 6"]
    written = json.loads(summary.read_text())
    assert written["seeds"] == 4
    assert written["failed"] == []
    assert written["commit"]


def test_wrong_usage_is_said_in_a_sentence() -> None:
    for arguments, told in (
        (["run", "--seed", "1", "--faults", "gremlins"], "unknown fault 'gremlins'"),
        (["run", "--seed", "1", "--hours", "0"], "from two minutes"),
        (["campaign", "--seeds", "9:1"], "not a range of seeds"),
        (["scenario"], "Name a scenario file"),
        (["live"], "needs a terminal"),
    ):
        done = bwv_sim(*arguments)
        assert done.returncode == 2, arguments
        assert told in done.stderr


def test_scenarios(tmp_path: Path) -> None:
    good, bad, broken = (tmp_path / f"{name}.toml" for name in ("good", "bad", "broken"))
    good.write_text('title = "Boots"\nsteps = ["at 00:00 boot", "at 00:01 expect state ready"]\n')
    bad.write_text('title = "No"\nsteps = ["at 00:00 boot", "at 00:01 expect state docked"]\n')
    broken.write_text("steps = [")
    assert bwv_sim("scenario", str(good)).stdout == "passed  good: Boots\n"
    done = bwv_sim("scenario", str(bad))
    assert done.returncode == 10
    assert "but it is 'ready'" in done.stdout
    done = bwv_sim("scenario", str(broken))
    assert done.returncode == 3
    assert done.stderr.startswith("bwv-sim: ")
    assert "press {button} {times}" in bwv_sim("scenario", "--phrases").stdout


def test_faults_are_listed() -> None:
    listed = bwv_sim("faults").stdout
    assert "power-cut" in listed
    assert re.search(r"^lying-sync .*\[detected\]$", listed, re.M)


class Terminal:
    """`bwv-sim live` on a pseudo-terminal."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "110", "LINES": "45"}
        self.process = subprocess.Popen(
            [*BWV_SIM, "live", "--rate", "20"],
            stdin=slave, stdout=slave, stderr=slave, env=environment,
        )  # fmt: skip
        os.close(slave)
        self.seen = ""

    def key(self, key: str) -> None:
        os.write(self._master, key.encode())

    def wait_for(self, text: str) -> None:
        until = time.monotonic() + 30
        self.seen = ""
        while text not in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.seen):
            assert time.monotonic() < until, f"{text!r} did not appear"
            if select.select([self._master], [], [], 0.2)[0]:
                self.seen += os.read(self._master, 65536).decode("utf-8", "replace")


def test_live_takes_keys_and_shows_what_happens() -> None:
    terminal = Terminal()
    terminal.wait_for("ready")
    terminal.key("r")
    terminal.wait_for("state         recording")
    terminal.key("c")
    terminal.wait_for("state         off")
    terminal.key("b")
    terminal.wait_for("state         ready")
    terminal.wait_for("recovered")
    terminal.key("q")
    assert terminal.process.wait(10) == 0
