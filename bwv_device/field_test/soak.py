"""A recording of minutes by the installed agent, measured from outside: processor, memory, pictures
lost, heat, and how long a start takes. Its vault is one of its own beside the camera's, on the same
card, and is removed again. Nobody has to press: the panel's pins are left alone meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, NamedTuple

from bwv_device.field_test.findings import Finding, Grade, judged
from bwv_device.formats.ledger_lines import parse_line
from bwv_device.settings import Settings
from hal.ports import SECOND_NS
from hal.rpi import power

# What a rig must keep to at the configured size and bitrate (docs/pi.md).
PROCESSOR_PERCENT, MEMORY_MIB, LOST_PERMILLE, CELSIUS = 120, 190, 1, 80
READY_S, FIRST_PICTURE_S = 15, 20
LOOK_S, PATIENCE_S = 2.0, 120.0


class Soaked(NamedTuple):
    """What was measured; `celsius` is None where the board does not say."""

    ready_s: float
    first_picture_s: float
    processor_percent: float
    memory_mib: float
    pictures: int
    lost: int
    celsius: int | None


def soak(
    settings: Settings, board: str, minutes: float, progress: Callable[[float], None]
) -> list[Finding]:
    """Records for so many minutes; `progress` hears the share that is over."""
    folder = Path(settings.device.vault).resolve().parent / f"soak-{os.getpid()}"
    try:
        folder.mkdir(mode=0o700)
        return judge(_record(settings, board, minutes * 60, folder, progress))
    except (OSError, subprocess.SubprocessError, SoakError) as error:
        remedy = f"Run 'bwv run --board {board}' by hand, and see what it says."
        return [Finding("soak", "a recording", Grade.BAD, str(error)[:200], remedy)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class SoakError(Exception):
    """The agent did not do what it was asked to."""


def judge(it: Soaked) -> list[Finding]:
    """The table of budgets."""
    lost_permille = 1000 * it.lost / max(1, it.pictures + it.lost)
    heat = "the board does not say" if it.celsius is None else f"{it.celsius} °C"
    return [
        judged("soak", "ready after the start", f"{it.ready_s:.1f} s of {READY_S}",
               good=it.ready_s <= READY_S, poor=True,
               remedy="Starting takes long: look at the card's speed, and at what else starts."),
        judged("soak", "first picture after the start", f"{it.first_picture_s:.1f} s of "
               f"{FIRST_PICTURE_S}", good=it.first_picture_s <= FIRST_PICTURE_S, poor=True,
               remedy="Starting takes long: look at the card's speed, and at what else starts."),
        judged("soak", "processor, all processes", f"{it.processor_percent:.0f} % of one core, of "
               f"{PROCESSOR_PERCENT}", good=it.processor_percent <= PROCESSOR_PERCENT, poor=True,
               remedy="Lower video.width, height or fps; see that the hardware encodes."),
        judged("soak", "memory, all processes", f"{it.memory_mib:.0f} MiB of {MEMORY_MIB}",
               good=it.memory_mib <= MEMORY_MIB, poor=True,
               remedy="Lower recording.pre_event_s or pre_event_limit_mib."),
        judged("soak", "pictures lost", f"{it.lost} of {it.pictures + it.lost}",
               good=lost_permille <= LOST_PERMILLE, poor=lost_permille <= 10,
               remedy="The processor, the encoder or the card can't keep up: lower size or fps."),
        judged("soak", "temperature", f"{heat} of {CELSIUS}",
               good=(it.celsius or 0) <= CELSIUS, poor=True,
               remedy="It throttles above: let the heat out of its case."),
    ]  # fmt: skip


def _record(
    settings: Settings,
    board: str,
    seconds: float,
    folder: Path,
    progress: Callable[[float], None],
) -> Soaked:
    file = folder / "config.toml"
    file.write_text(_toml(_alone(settings, folder).as_dict()))
    words = ["run", "--board", board, "--config", str(file)]
    command = [sys.executable, "-P", "-m", "bwv_device", *words]
    began = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        _wait_for("→ ready", process.stdout)
        ready_s = time.monotonic() - began
        os.set_blocking(process.stdout.fileno(), False)
        measured = _measure(process, folder, seconds, progress)
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_S)
        process.kill()
    lines = list(_ledger(folder / "vault"))
    opened = [line for line in lines if line["kind"] == "open"]
    if not opened:
        raise SoakError("nothing was recorded")
    first_s = opened[0]["first_pts_ns"] / SECOND_NS - began
    sealed = [line for line in lines if line["kind"] == "seal"]
    gaps = [line for line in lines if line["kind"] == "gap" and line["track"] == "video"]
    pictures, lost = sum(s["video_units"] for s in sealed), sum(g["units"] for g in gaps)
    return Soaked(ready_s, first_s, *measured[:2], pictures, lost, measured[2])


def _measure(
    process: subprocess.Popen[str],
    folder: Path,
    seconds: float,
    progress: Callable[[float], None],
) -> tuple[float, float, int | None]:
    """Processor in per cent of a core, the largest memory in MiB, and the greatest heat."""
    assert process.stdin is not None
    process.stdin.write("record\n")
    process.stdin.flush()
    deadline = time.monotonic() + PATIENCE_S
    while not any(line["kind"] == "open" for line in _ledger(folder / "vault")):
        if time.monotonic() > deadline or process.poll() is not None:
            raise SoakError("it does not begin to record")
        time.sleep(LOOK_S / 10)
    before_s, began = _processor_s(process.pid), time.monotonic()
    largest, hottest = 0.0, None
    while (passed := time.monotonic() - began) < seconds:
        if process.poll() is not None:
            raise SoakError("it ended")
        progress(passed / seconds)
        largest = max(largest, memory_mib(process.pid))
        celsius = power.temperature_c()
        hottest = celsius if hottest is None else max(hottest, celsius or 0)
        time.sleep(min(LOOK_S, max(0.1, seconds - passed)))
    share = 100 * (_processor_s(process.pid) - before_s) / (time.monotonic() - began)
    process.stdin.write("stop\n")
    process.stdin.flush()
    return share, largest, hottest


def _alone(settings: Settings, folder: Path) -> Settings:
    """The same camera with nothing to reach, and nobody who presses."""
    return replace(
        settings,
        device=replace(settings.device, vault=str(folder / "vault")),
        dock=replace(settings.dock, store=""),
        mqtt=replace(settings.mqtt, broker=""),
        panel=replace(settings.panel, factory="mock", dock="none"),
        live_panel=replace(settings.live_panel, listen=""),
    )


def _toml(table: dict[str, dict[str, Any]]) -> str:
    """Strings, numbers and truth values are written in TOML as in JSON."""
    rows = []
    for section, values in table.items():
        rows += [f"[{section}]", *(f"{name} = {json.dumps(v)}" for name, v in values.items())]
    return "\n".join(rows) + "\n"


def _wait_for(word: str, said: IO[str]) -> None:
    heard = []
    for line in said:
        heard.append(line.strip())
        if word in line:
            return
    raise SoakError(heard[-1] if heard else "it ended without a word")


def _ledger(vault: Path) -> Iterator[dict[str, Any]]:
    for file in sorted((vault / "ledger").glob("*.ledger")):
        for raw in file.read_bytes().split(b"\n")[:-1]:
            yield parse_line(raw).fields


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def _processor_s(pid: int) -> float:
    ticks = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> float:
    """Proportional: what processes share counts once."""
    total = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{member}/smaps_rollup").read_text()
            found = re.search(r"^Pss: +(\d+) kB", text, re.MULTILINE)
            total += int(found[1]) if found else 0
    return total / 1024
