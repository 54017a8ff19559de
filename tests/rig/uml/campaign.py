"""The whole agent in a virtual machine, on the kernel's own pins, and the machine killed at random.

    python tests/rig/uml/campaign.py --cycles 20 --report docs/rig.md

User Mode Linux: a real kernel as a process. Real libcamera, picamera2, PortAudio, PyAudio and
gpiozero; the character device, gpio-sim, ext4 on a disk image, dm-flakey and the watchdog are the
kernel's.
What is virtual is the hardware, and the time that a loaded host takes from it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TREE = HERE.parents[2]
sys.path[:0] = [str(HERE.parent), str(TREE)]

from virtual_rig import ROOT, Rig  # noqa: E402

KERNEL = TREE / ".cache" / "rig-kernel" / "linux"
DATA = TREE / ".cache" / "rig-machine"
IMAGE = DATA / "disk.img"
IMAGE_MIB = 512
# How machines ended: 134 is a kernel that restarts itself.
ENDED: list[int] = []
LOSS_MS = 1200


class Machine:
    """One boot. Iterating gives what the guest says."""

    def __init__(self, act: str) -> None:
        # rseq of a new glibc and User Mode Linux do not get along: the kernel panics at init.
        environment = {**os.environ, "GLIBC_TUNABLES": "glibc.pthread.rseq=0"}
        kernel = [
            str(KERNEL), "mem=1500M", "rootfstype=hostfs", f"rootflags={ROOT}", "rw",
            "init=/src/tests/rig/uml/init", "con=null", "con0=null,fd:1", "quiet",
            f"ubd0={IMAGE}", f"act={act}",
        ]  # fmt: skip
        script = """set -e
            mkdir -p "$1/src" "$1/data"
            mount --bind "$2" "$1/src"
            mount --bind "$3" "$1/data"
            shift 3
            exec "$@"
        """
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "rig",
             str(ROOT), str(TREE), str(DATA), *kernel],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=environment,
        )  # fmt: skip
        self.log: list[str] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log.append(line)
            if line.startswith("RIG "):
                yield json.loads(line[4:])

    def kill(self) -> None:
        """As the power goes."""
        self.process.kill()
        self.process.wait()


def prepare() -> None:
    subprocess.run([HERE / "build-kernel", KERNEL.parent], check=True)
    subprocess.run([HERE.parent / "virtual" / "make-root", ROOT, "machine"], check=True)
    DATA.mkdir(parents=True, exist_ok=True)
    rig = Rig(DATA)
    if not (DATA / "keys").exists():
        rig.prepare()
    text = rig.config().replace('vault = "/data/vault"', 'vault = "/vault/v"')
    text = text.replace('factory = "mock"', 'factory = "kernel"\nchip = 0')
    (DATA / "uml.toml").write_text(text)


def new_disk() -> None:
    IMAGE.unlink(missing_ok=True)
    with IMAGE.open("wb") as file:
        file.truncate(IMAGE_MIB << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", IMAGE], check=True)


def whole(act: str) -> list[dict[str, Any]]:
    """A boot to its end."""
    machine = Machine(act)
    said = list(machine)
    ENDED.append(machine.process.wait())
    if not any(item["what"] == "done" for item in said) and act != "hang":
        raise SystemExit(f"{act}: the guest did not finish\n" + "".join(machine.log[-40:]))
    return said


def cycle(chance: random.Random) -> dict[str, Any]:
    """Records, is killed at a random moment, starts again, and is judged."""
    new_disk()
    machine, wait_s = Machine("cut"), chance.uniform(2, 9)
    found: dict[str, Any] = {"wait_s": round(wait_s, 1)}
    began = None
    for item in machine:
        found[item["what"]] = item
        if item["what"] == "pressed":
            began = time.monotonic()
        if item["what"] == "in vain" or (began and time.monotonic() - began > wait_s):
            break
    machine.kill()
    (found["after"],) = [item for item in whole("after") if item["what"] == "after"]
    return found


def judge(found: dict[str, Any]) -> dict[str, Any]:
    """One row of the table."""
    light = found.get("recording", {}).get("light", [])
    steps = [round((b[0] - a[0]) * 1000) for a, b in pairwise(light[1:])]
    films = found["after"]["films"]
    # What the guest last said is at most a tenth of a second before it was killed.
    last_s = max((found[what]["at"] for what in ("alive", "recording") if what in found), default=0)
    lost_ms = round((last_s + 0.1 - found["after"]["end_s"]) * 1000) if films else None
    return {
        "ready_s": found.get("ready", {}).get("after_s"),
        "light_ms": found.get("pressed", {}).get("light_ms"),
        "steps_ms": (min(steps), max(steps)) if steps else None,
        "killed_after_s": found["wait_s"],
        "verify": found["after"]["verify"],
        "film_ms": films[0][2] if films else 0,
        "pictures": films[0][1] if films else 0,
        "problems": found["after"]["problems"],
        "lost_ms": lost_ms,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--page", action="store_true", help="Only writes the page anew.")
    parser.add_argument("--acts-only", action="store_true", help="Keeps the cycles of last time.")
    parser.add_argument("--act", choices=["contract", "safe", "errors", "hang"])
    options = parser.parse_args()
    if options.page:
        options.report.write_text(page(json.loads((DATA / "results.json").read_text())))
        return
    prepare()
    if options.act:
        new_disk()
        for item in whole(options.act):
            print(json.dumps(item))
        print("the machine ended with", ENDED[-1])
        return
    results, acts = DATA / "results.json", dict[str, Any]()
    chance, rows = random.Random(options.seed), list[dict[str, Any]]()
    if options.acts_only:
        rows = json.loads(results.read_text())["rows"]
    for number in range(0 if options.acts_only else options.cycles):
        rows.append(judge(cycle(chance)))
        print(f"cycle {number + 1}: {rows[-1]}", flush=True)
    for act in ("contract", "safe", "errors", "hang"):
        new_disk()
        acts[act] = whole(act)
        print(f"{act}: {acts[act]}", flush=True)
    found = {"commit": _commit(), "rows": rows, "acts": acts, "ended": ENDED[-1]}
    results.write_text(json.dumps(found))
    if options.report:
        options.report.write_text(page(found))
    bad = [row for row in rows if row["verify"] not in (0, 11) or row["problems"]]
    late = [row for row in rows if row["lost_ms"] is None or row["lost_ms"] > LOSS_MS]
    print(f"{len(rows)} cycles, {len(bad)} with a wrong verdict, {len(late)} that lost more than "
          f"{LOSS_MS} ms")  # fmt: skip
    sys.exit(bool(bad or late))


def _commit() -> str:
    words = ["git", "-C", str(TREE), "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def page(results: dict[str, Any]) -> str:
    """docs/rig.md."""
    rows, acts = results["rows"], results["acts"]
    table = "\n".join(
        f"| {n} | {r['killed_after_s']} | {r['ready_s']} | {r['light_ms']} | "
        f"{'–'.join(map(str, r['steps_ms'] or ()))} | {r['pictures']} | "
        f"{r['film_ms'] / 1000:.1f} | {r['lost_ms']} |"
        for n, r in enumerate(rows, 1)
    )
    safe = {
        (item["victim"], item["signal"]): item for item in acts["safe"] if item["what"] == "safe"
    }
    failing = next(item for item in acts["errors"] if item.get("table") == "flakey")
    lost = [row["lost_ms"] for row in rows if row["lost_ms"] is not None]
    lights = [row["light_ms"] for row in rows if row["light_ms"] is not None]
    return PAGE.format(
        commit=results["commit"], cycles=len(rows), table=table, worst=max(lost),
        light=f"{min(lights)} to {max(lights)}",
        wrong=sum(row["verify"] not in (0, 11) or bool(row["problems"]) for row in rows),
        agent=safe["agent", 9]["dark_after_ms"], panel=safe["panel", 9]["dark_after_ms"],
        hung=safe["agent", 19]["recording_said_until_ms"],
        errors=failing["not_stored_after_ms"], ended=results["ended"],
        **next(item for item in acts["contract"] if item["what"] == "contract"),
        hangs=sum(item["what"] == "hangs" for item in acts["hang"]),
    )  # fmt: skip


PAGE = (HERE / "page.md").read_text()


if __name__ == "__main__":
    main()
