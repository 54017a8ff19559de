"""On a Raspberry Pi: one command, and a table of budgets to publish (`make rig-hardware`).

Reads BWV_RIG_CONFIG, the configuration of the rig (default /etc/bwv-device/config.toml). A missing
part fails; nothing here is skipped. Put the camera before something that moves, and a mirror before
its light for `BWV_RIG_MIRROR=1`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bwv_device import config
from bwv_device.formats.ledger_lines import parse_line
from hal.rpi import power
from hal.rpi.capture import encoder_probe

pytestmark = pytest.mark.rig

CONFIG = Path(os.environ.get("BWV_RIG_CONFIG", "/etc/bwv-device/config.toml"))
SECONDS = int(os.environ.get("BWV_RIG_SECONDS", "300"))

# What a rig must keep to at the configured size and bitrate (docs/pi.md).
BUDGET = {
    "processor, all processes, % of one core": 120,
    "memory, all processes, MiB": 260,
    "pictures lost, of a thousand": 1,
    "temperature, °C": 80,
    "ready after the start, s": 15,
    "first picture after the start, s": 20,
}
RESULTS: dict[str, float] = {}


@pytest.fixture(scope="module", autouse=True)
def table() -> object:
    yield
    print("\n| budget | limit | measured |\n|---|---:|---:|")
    for name, limit in BUDGET.items():
        print(f"| {name} | {limit} | {RESULTS.get(name, 'not measured')} |")
    print(
        f"on {encoder_probe.model() or 'no Raspberry Pi'}, "
        f"encoder {encoder_probe.encoders()[0]}, {SECONDS} s"
    )


def within(name: str, value: float) -> None:
    RESULTS[name] = round(value, 1)
    assert value <= BUDGET[name]


def test_this_is_a_raspberry_pi() -> None:
    assert encoder_probe.model().startswith("Raspberry Pi")


def test_the_field_test_finds_nothing_bad() -> None:
    words = ["check", "--config", CONFIG, "--json", "--seconds", "60", "--writes", "2000"]
    words += ["--mirror"] if os.environ.get("BWV_RIG_MIRROR") else []
    done = subprocess.run(
        [sys.executable, "-m", "bwv_device", *words], capture_output=True, text=True, check=False
    )
    bad = [row for row in json.loads(done.stdout) if row["status"] == "bad"]
    assert not bad, bad


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of `SECONDS`, in a vault of its own on the rig's card; measured meanwhile."""
    settings = config.load(CONFIG).settings
    folder = Path(settings.device.vault).parent / "rig-test"
    shutil.rmtree(folder, ignore_errors=True)
    text = re.sub(r"(?m)^vault *=.*$", f'vault = "{folder}"', CONFIG.read_text())
    ours = tmp_path_factory.mktemp("rig") / "config.toml"
    ours.write_text(text + '\n[panel]\nfactory = "mock"\n' if "[panel]" not in text else text)
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "bwv_device", "run", "--config", ours],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    for line in process.stdout:
        if "→ ready" in line:
            break
    RESULTS["ready after the start, s"] = round(time.monotonic() - start, 1)
    threading.Event().wait(10)
    print("Press record twice now." if "[panel]" in text else "")
    process.stdin.write("record\n")
    process.stdin.flush()
    before, began = _processor_s(process.pid), time.monotonic()
    hottest, largest = 0, 0.0
    while time.monotonic() - began < SECONDS:
        threading.Event().wait(5)
        hottest = max(hottest, power.temperature_c() or 0)
        largest = max(largest, _memory_mib(process.pid))
    passed = time.monotonic() - began
    share = (_processor_s(process.pid) - before) / passed * 100
    RESULTS["processor, all processes, % of one core"] = round(share, 1)
    RESULTS["memory, all processes, MiB"] = round(largest, 1)
    RESULTS["temperature, °C"] = hottest
    process.send_signal(signal.SIGINT)
    process.wait(60)
    return folder


def test_budgets_are_kept(run: Path) -> None:
    for name, value in list(RESULTS.items()):
        within(name, value)


def test_hardly_a_picture_is_lost(run: Path) -> None:
    lines = [
        parse_line(raw).fields
        for file in sorted((run / "ledger").glob("*.ledger"))
        for raw in file.read_bytes().split(b"\n")[:-1]
    ]
    pictures = sum(line["video_units"] for line in lines if line["kind"] == "seal")
    lost = sum(li["units"] for li in lines if li["kind"] == "gap" and li["track"] == "video")
    assert pictures > 0
    within("pictures lost, of a thousand", lost / pictures * 1000)


def _family(pid: int) -> list[int]:
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = entry.read_text()
        except OSError:
            continue
        parents[int(entry.parent.name)] = int(text.rpartition(")")[2].split()[1])
    found = [pid]
    for child, parent in sorted(parents.items()):
        if parent in found:
            found.append(child)
    return found


def _processor_s(pid: int) -> float:
    ticks = 0
    for member in _family(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _memory_mib(pid: int) -> float:
    """Proportional: what processes share counts once."""
    total = 0
    for member in _family(pid):
        text = Path(f"/proc/{member}/smaps_rollup").read_text()
        found = re.search(r"^Pss: +(\d+) kB", text, re.MULTILINE)
        total += int(found[1]) if found else 0
    return total / 1024
