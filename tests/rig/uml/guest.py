"""What happens inside the virtual machine: the whole agent on kernel pins, the world's hands on the
kernel's side of them. Prints JSON lines that begin with RIG.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

DISK, VAULT = "/dev/ubda", Path("/vault")
LIGHT, BEEPER, RECORD, MARKER = 17, 24, 5, 6
BWV = "/opt/v/bin/bwv"
CONFIG = "/data/uml.toml"


def say(what: str, **fields: Any) -> None:
    print("RIG", json.dumps({"what": what, "at": round(time.monotonic(), 3), **fields}), flush=True)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)


# --- pins, from the kernel's side ----------------------------------------------------------------


class Pins:
    """The kernel's gpio-sim: 54 lines, as on a Raspberry Pi."""

    def __init__(self) -> None:
        rig = Path("/sys/kernel/config/gpio-sim/rig")
        bank = rig / "bank0"
        bank.mkdir(parents=True)
        (bank / "num_lines").write_text("54")
        (bank / "label").write_text("pinctrl-bcm2835")
        (rig / "live").write_text("1")
        chip = (bank / "chip_name").read_text().strip()
        device = (rig / "dev_name").read_text().strip()
        self._folder = Path("/sys/devices/platform") / device / chip
        for button in (RECORD, MARKER):
            self.pull(button, up=True)

    def value(self, line: int) -> int:
        return int((self._folder / f"sim_gpio{line}" / "value").read_text())

    def pull(self, line: int, *, up: bool) -> None:
        where = self._folder / f"sim_gpio{line}" / "pull"
        where.write_text("pull-up" if up else "pull-down")

    def press(self, line: int, held_s: float = 0.1) -> float:
        """When it went down."""
        at_s = time.monotonic()
        self.pull(line, up=False)
        time.sleep(held_s)
        self.pull(line, up=True)
        return at_s


class Edges:
    """Watches lines: (time, level) of each change."""

    def __init__(self, pins: Pins, *lines: int) -> None:
        self._pins = pins
        self.of: dict[int, list[tuple[float, int]]] = {line: [] for line in lines}
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        last = dict.fromkeys(self.of, -1)
        while True:
            for line, edges in self.of.items():
                level = self._pins.value(line)
                if level != last[line]:
                    edges.append((time.monotonic(), level))
                    last[line] = level
            time.sleep(0.004)

    def since(self, line: int, at_s: float) -> list[tuple[float, int]]:
        return [edge for edge in self.of[line] if edge[0] >= at_s]


# --- the camera ----------------------------------------------------------------------------------


class Camera:
    """`bwv run`, with this program as its supervisor: it hears systemd's protocol."""

    def __init__(self, seconds: float | None = None) -> None:
        self.ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ear.bind("/run/notify")
        self.heard: list[str] = []
        self.fed = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()
        environment = {**os.environ, "NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "6000000"}
        words = [BWV, "run", "--config", CONFIG]
        words += ["--seconds", str(seconds)] if seconds else []
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env=environment,
        )  # fmt: skip
        self.said: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _listen(self) -> None:
        while True:
            words = self.ear.recv(4096).decode()
            self.heard.append(words)
            if "WATCHDOG=1" in words:
                self.fed.set()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)

    def wait_for(self, word: str, patience_s: float = 60) -> None:
        deadline = time.monotonic() + patience_s
        while not any(word in line for line in self.said):
            if time.monotonic() > deadline or self.process.poll() is not None:
                say("in vain", word=word, said=self.said[-8:], ledger=ledger()[-8:],
                    processes=run("ps", "-eo", "pid,ppid,stat,pcpu,args").stdout.splitlines(),
                    files=os.listdir("/run"))  # fmt: skip
                sys.exit(1)
            time.sleep(0.02)

    def pid_of(self, module: str) -> int:
        for entry in Path("/proc").glob("[0-9]*"):
            words = (entry / "cmdline").read_bytes() if entry.exists() else b""
            if module.encode() in words:
                return int(entry.name)
        raise LookupError(module)


def mount(device: str = DISK) -> None:
    VAULT.mkdir(exist_ok=True)
    done = run("mount", "-t", "ext4", device, str(VAULT))
    if done.returncode:
        say("in vain", mount=done.stderr)
        sys.exit(1)


def record(pins: Pins, camera: Camera) -> float:
    """Pressed twice, from the kernel's side. When the second press went down."""
    camera.wait_for("→ ready")
    time.sleep(7)  # the camera's process, on one slow processor
    for _ in range(5):
        pins.press(RECORD)
        time.sleep(0.15)
        pressed_s = pins.press(RECORD)
        time.sleep(0.5)
        if any("→ recording" in line for line in camera.said):
            return pressed_s
        time.sleep(4)  # refused, and said so; a person presses again
    return pressed_s


# --- acts ----------------------------------------------------------------------------------------


def cut(pins: Pins) -> None:
    """Records until the machine is killed from outside."""
    mount()
    edges, camera = Edges(pins, LIGHT, BEEPER), Camera()
    pressed_s = record(pins, camera)
    camera.wait_for("→ recording")
    say("ready", after_s=round(pressed_s - camera.began, 1))
    lit = threading.Event()
    while not edges.since(LIGHT, pressed_s):
        lit.wait(0.002)
    light_s = next((at for at, level in edges.since(LIGHT, pressed_s) if level), None)
    say("pressed", light_ms=None if light_s is None else round((light_s - pressed_s) * 1000))
    for tick in itertools.count():
        time.sleep(0.1)
        if tick % 5:
            say("alive")
            continue
        flashes = [(round(at - pressed_s, 3), level) for at, level in edges.since(LIGHT, pressed_s)]
        beeps = [(round(at - pressed_s, 3), level) for at, level in edges.since(BEEPER, pressed_s)]
        say("recording", light=flashes[-12:], beeper=beeps[:4])


def after(pins: Pins) -> None:
    """The next start: what is there of what was recorded."""
    checked = run("e2fsck", "-p", DISK)
    mount()
    parts = [path.stat().st_size for path in (VAULT / "v" / "footage").glob("*.part")]
    camera = Camera(seconds=4)
    camera.process.wait(120)
    judged = run(
        BWV, "verify", str(VAULT / "v"), "--root", "/data/agency/agency-root.pem", "--json"
    )
    opened = run(BWV, "export", str(VAULT / "v"), "--root", "/data/agency/agency-root.pem",
                 "--identity", "/data/agency/agency-identity.txt", "--out", "/data/out",
                 "--json")  # fmt: skip
    films = json.loads(opened.stdout)["exported"] if opened.stdout else []
    starts = [line["first_pts_ns"] / 1e9 for line in ledger() if line["kind"] == "open"]
    say("after", fsck=checked.returncode, parts=parts, verify=judged.returncode,
        problems=json.loads(judged.stdout).get("problems", []) if judged.stdout else judged.stderr,
        films=[[f["recording"], f["video_units"], f["duration_ms"]] for f in films],
        end_s=starts[0] + films[0]["duration_ms"] / 1000 if films else None,
        error=opened.stderr[-300:])  # fmt: skip


def ledger() -> list[dict[str, Any]]:
    files = sorted((VAULT / "v" / "ledger").glob("*.ledger"))
    lines = [line for file in files for line in file.read_bytes().split(b"\n")[:-1]]
    return [json.loads(line.rpartition(b"\t")[0]) for line in lines]


def pins_are_safe(pins: Pins) -> None:
    """Whatever dies or hangs: no pin goes on saying "recording"."""
    mount()
    for victim, number in (("agent", signal.SIGKILL), ("panel", signal.SIGKILL),
                           ("agent", signal.SIGSTOP)):  # fmt: skip
        edges, camera = Edges(pins, LIGHT, BEEPER), Camera()
        record(pins, camera)
        camera.wait_for("→ recording")
        time.sleep(3)
        pid = camera.process.pid if victim == "agent" else camera.pid_of("panel_child")
        while not pins.value(LIGHT):  # at the worst moment
            time.sleep(0.002)
        at_s = time.monotonic()
        os.kill(pid, number)
        while pins.value(LIGHT) and time.monotonic() - at_s < 3:
            time.sleep(0.001)
        dark_s = time.monotonic() - at_s
        time.sleep(4)
        shown = edges.since(LIGHT, at_s)
        steps = [b[0] - a[0] for a, b in pairwise(shown)]
        slow = [at for (at, _), step in zip(shown[1:], steps, strict=True) if 0.35 < step < 0.65]
        say("safe", victim=victim, signal=int(number), dark_after_ms=round(dark_s * 1000),
            recording_said_until_ms=round((slow[-1] - at_s) * 1000) if slow else 0,
            edges=[(round(at - at_s, 3), level) for at, level in shown[:16]])  # fmt: skip
        camera.process.kill()
        camera.process.wait()
        camera.ear.close()
        os.unlink("/run/notify")
        time.sleep(1)


def errors(pins: Pins) -> None:
    """The disk answers every write with an error for a while (dm-flakey)."""
    sectors = int(run("blockdev", "--getsz", DISK).stdout)
    table = f"0 {sectors} flakey {DISK} 0 {{up}} {{down}} 1 error_writes"
    run("dmsetup", "create", "--noudevsync", "flaky", "--table", f"0 {sectors} linear {DISK} 0")
    run("dmsetup", "mknodes")
    mount("/dev/mapper/flaky")
    edges, camera = Edges(pins, LIGHT), Camera()
    record(pins, camera)
    camera.wait_for("→ recording")
    time.sleep(4)
    for table_now in (table.format(up=0, down=1000), f"0 {sectors} linear {DISK} 0"):
        at_s = time.monotonic()
        run("dmsetup", "suspend", "--nolockfs", "--noflush", "flaky")
        run("dmsetup", "load", "flaky", "--table", table_now)
        run("dmsetup", "resume", "flaky")
        time.sleep(6)
        shown = edges.since(LIGHT, at_s)
        fast = [at for (at, _), (then, _) in pairwise(shown) if then - at < 0.2]
        say("errors", table=table_now.split()[2], edges=len(shown),
            not_stored_after_ms=round((fast[0] - at_s) * 1000) if fast else None)  # fmt: skip
    say("errors over", exit=camera.process.poll(), said=camera.said[-6:])
    camera.process.kill()


def hang(pins: Pins) -> None:
    """A hung agent does not feed the watchdog, and the kernel starts the machine again."""
    mount()
    camera = Camera()
    record(pins, camera)
    camera.wait_for("→ recording")
    dog = os.open("/dev/watchdog", os.O_WRONLY)
    for _ in range(3):
        camera.fed.clear()
        if not camera.fed.wait(10):
            say("in vain", watchdog=camera.heard[-4:])
            sys.exit(1)
        os.write(dog, b"\n")
    say("hangs", heard=[words for words in camera.heard if "READY" in words])
    os.kill(camera.process.pid, signal.SIGSTOP)
    while True:
        camera.fed.clear()
        if camera.fed.wait(1):
            os.write(dog, b"\n")


def contract(pins: Pins) -> None:
    """Our pins under gpiozero's devices, on the kernel's driver; and how often its thread wakes."""
    sys.path.append("/src/tests")
    sys.path.append("/src")
    from support import pins_contract

    from hal.rpi.panel.gpio_chip import find_chip
    from hal.rpi.panel.line_pins import LineFactory

    class Outside:
        def level(self, pin: int) -> bool:
            return bool(pins.value(pin))

        def drive(self, pin: int, high: bool) -> None:
            pins.pull(pin, up=high)

    factory = LineFactory(find_chip())
    for clause in pins_contract.CLAUSES:
        clause(factory, Outside(), RECORD)
        say("clause", name=clause.__name__)
    before = wake_ups()
    time.sleep(10)
    say("contract", clauses=len(pins_contract.CLAUSES), wake_ups=wake_ups() - before)


def wake_ups() -> int:
    """Voluntary switches of this process's thread of edges."""
    for task in Path("/proc/self/task").iterdir():
        if (task / "comm").read_text().strip() == "edges":
            text = (task / "status").read_text()
            return int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
    # Before Python 3.14 a thread's name is not the kernel's: all of them, this one too.
    text = Path("/proc/self/status").read_text()
    return int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


ACTS = {
    "contract": contract,
    "cut": cut,
    "after": after,
    "safe": pins_are_safe,
    "errors": errors,
    "hang": hang,
}


def main() -> None:
    words = dict(w.split("=", 1) for w in Path("/proc/cmdline").read_text().split() if "=" in w)
    random.seed(words.get("seed", "0"))
    ACTS[words["act"]](Pins())
    say("done")


if __name__ == "__main__":
    main()
