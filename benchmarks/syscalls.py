"""Errors at exact system calls: the real disk backend under `strace -e inject=`.

    python -m benchmarks.syscalls --calls 40

Each run plays a short life of the camera on a real directory in virtual time; the kernel's answer
to one call, or to some in a row, is an error. The camera must go on, and the vault must verify
after its next boot with every picture.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from benchmarks.ext4.cuts import WorldDisk
from bwv_device.formats.media.mp4_film import read_film
from bwv_device.verification.export import export
from bwv_device.verification.vault_report import survey
from hal.ports import Track
from hal.simulated.capture import StubVideo
from sim.sweeps import power_cuts
from sim.world.test_keys import BenchAgency
from sim.world.world import World, stub_media

BITRATE_BPS = 600_000
# What the backend calls, and what the kernel may answer.
ANSWERS = (
    ("fdatasync", "EIO"),
    ("fsync", "EIO"),
    ("write", "ENOSPC"),
    ("write", "EROFS"),
    ("write", "EIO"),
    ("openat", "EIO"),
    ("rename", "EIO"),
)
LIFE_S = 240


class Injection(NamedTuple):
    call: str
    error: str
    first: int
    times: int

    def rule(self) -> str:
        last = self.first + self.times - 1
        return f"inject={self.call}:error={self.error}:when={self.first}..{last}"


def live(root: Path, *, whole: bool) -> None:
    """A short life on a real directory; or only a boot that explains what is there."""
    agency = BenchAgency()
    disk = WorldDisk(root)
    world = World(
        power_cuts.settings(),
        agency.device,
        agency.recipients,
        media=stub_media(BITRATE_BPS),
        disk=disk,  # type: ignore[arg-type]
    )
    if whole:
        for _ in power_cuts.script(world):
            pass
    else:
        world.boot()
        world.run(seconds=5)
        world.shut_down()
    disk.close()


def inject(injection: Injection, folder: Path) -> tuple[int, list[str]]:
    """How many calls were answered with an error, and what went wrong."""
    root = folder / "vault"
    (root / "ledger").mkdir(parents=True)
    (root / "footage").mkdir()
    paths = _paths(root)
    if injection.call == "openat":  # the bench itself looks into the ledger
        paths = [path for path in paths if "footage" in str(path)]
    inside = [f"-P{path}" for path in paths]
    command = ["strace", "-f", "-qq", "-o", str(folder / "trace"), *inside, "-e", injection.rule()]
    command += ["-e", f"trace={injection.call}"]
    command += [sys.executable, "-m", "benchmarks.syscalls", "--live", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIFE_S)
    if done.returncode:
        return 0, [f"the camera ended: {done.stderr.strip().splitlines()[-1:]}"]
    live(root, whole=False)
    hit = (folder / "trace").read_text().count("(INJECTED)")
    return hit, _judge(root, folder / "out")


def _paths(root: Path) -> list[Path]:
    """`strace -P` takes whole paths; these are the files of such a life."""
    ledgers = [root / "ledger" / f"{boot:08d}.ledger" for boot in range(1, 6)]
    names = [
        root / "footage" / f"{boot:08d}-{recording:04d}-{number:04d}.mp4.age.part"
        for boot in range(1, 4)
        for recording in range(1, 5)
        for number in range(1, 5)
    ]
    return [root, root / "ledger", root / "footage", *ledgers, *names]


def _judge(root: Path, out: Path) -> list[str]:
    agency = BenchAgency()
    report, films, _ = export(survey(root, [agency.root]), agency.identities, out)
    failures = [] if report.complete else [f"{report.problems} {report.remarks[-2:]}"]
    numbers: set[int] = set()
    for film in films:
        found = read_film(film.path.read_bytes())
        numbers |= {StubVideo.number_of(u.data) for u in found if u.track is Track.VIDEO}
    holes = [(a, b) for a, b in pairwise(sorted(numbers)) if b != a + 1 and b % 30]
    # A camera that could not open its vault yet says no, and is heard; the second press counts.
    refused = any(b'"kind":"refused"' in p.read_bytes() for p in (root / "ledger").iterdir())
    if holes or len(numbers) < (150 if refused else 400):
        failures.append(f"{len(numbers)} pictures, holes {holes[:3]}")
    return failures


def injections(count: int) -> list[Injection]:
    """Spread over the calls of a life: every kind of answer, early and late, once and in a row."""
    chosen = []
    for number in range(count):
        call, error = ANSWERS[number % len(ANSWERS)]
        first = 1 + 7 * (number // len(ANSWERS)) + number % 3
        chosen.append(Injection(call, error, first, 1 if number % 2 else 4))
    return chosen


def run(chosen: list[Injection]) -> tuple[int, list[str]]:
    """How many system calls were answered with an error, and what went wrong."""
    if not shutil.which("strace"):
        raise SystemExit("apt-get install strace")
    failures: list[str] = []
    answered = 0
    for injection in chosen:
        with tempfile.TemporaryDirectory() as name:
            hit, found = inject(injection, Path(name))
            answered += hit
            failures += [f"{injection.rule()}: {text}" for text in found]
    return answered, failures


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=14)
    parser.add_argument("--live", type=Path)
    options = parser.parse_args()
    if options.live:
        live(options.live, whole=True)
        return
    answered, failures = run(injections(options.calls))
    told = f"{options.calls} lives, {answered} system calls answered with an error"
    print(f"{told}, {len(failures)} failures")
    for failure in failures[:5]:
        print(f"  {failure}")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
