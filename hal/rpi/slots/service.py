"""What is done to the slots with the rights of root, at the agent's request: `bwv-slots.service`.

The agent is trusted with nothing here but the moment: what is written into a slot must be a bundle
that the agency signed and that is not older than what runs (RAUC), and a slot that was not started
is never the one that starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hal.rpi.slots import boot_choice
from hal.rpi.slots.boot_choice import BootChoice, Taken
from hal.rpi.slots.requests import ANSWER, CANCEL, KEPT, REQUEST

VAULT = Path("/var/lib/bwv-device/vault")
CHOICE = Path("/dev/disk/by-partuuid/62777631-01")
# A bundle was installed since the machine started: what else is in the other slot is older.
INSTALLED = Path("/run/bwv-slots/installed")
MOUNTED = Path("/run/bwv-slots/choice")
REQUEST_LIMIT = 4096
LOOK_S = 0.2
REBOOT = ("systemctl", "--no-block", "reboot")
Run = Callable[..., None]


def run(*words: object, until: Callable[[], bool] = lambda: False) -> None:
    """Raises `OSError` with what the tool said last. `until`: it is to be given up, and the service
    that does its work is stopped."""
    command = [str(word) for word in words]
    with tempfile.TemporaryFile("w+") as said:
        with subprocess.Popen(command, stdout=said, stderr=said, text=True) as process:
            while process.poll() is None:
                if until():
                    subprocess.run(["systemctl", "stop", f"{command[0]}.service"], check=False)
                    process.kill()
                    raise OSError("it was given up")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_S)
        said.seek(0)
        lines = said.read().strip().splitlines()
    if process.returncode:
        end = f"{command[0]} ended with {process.returncode}"
        raise OSError(lines[-1][-300:] if lines else end)


class SlotsService:
    """`choice` gives the folder in which `autoboot.txt` stands while it is used; to be written, or
    only read."""

    def __init__(
        self,
        taken: Taken,
        choice: Callable[[bool], contextlib.AbstractContextManager[Path]],
        run: Run = run,
        vault: Path = VAULT,
        cancelled: Callable[[], bool] = CANCEL.exists,
        kept: Path = KEPT,
        installed: Path = INSTALLED,
    ) -> None:
        self._taken, self._choice, self._run, self._vault = taken, choice, run, vault
        self._cancelled, self._kept, self._installed = cancelled, kept, installed

    def do(self, asked: dict[str, Any]) -> tuple[str, ...]:
        """What is to be run once it was answered: a restart ends this service too. Raises
        `OSError`, `ValueError` with the reason."""
        what = asked.get("do")
        if what == "install":
            self._install(str(asked.get("bundle")))
        elif what == "start-other":
            self._settled("a slot on trial starts no other")
            if not self._installed.exists():
                raise OSError("nothing was installed since the machine started")
            return (*REBOOT, "--reboot-argument=0 tryboot")
        elif what == "keep":
            self._keep()
        elif what == "end-trial":
            if not self._taken.tried or not self._on_trial():
                raise OSError("nothing is on trial")
            return REBOOT
        else:
            raise ValueError("it is not asked for anything that there is")
        return ()

    def _install(self, bundle: str) -> None:
        self._settled("what runs is on trial itself: the other slot is the way back")
        file = (self._vault / bundle).absolute()
        if self._vault not in file.parents or ".." in file.parts or has_link(file, self._vault):
            raise OSError(f"{bundle} is no bundle in the vault")
        self._installed.unlink(missing_ok=True)
        self._run("rauc", "install", file, until=self._cancelled)
        self._installed.touch()

    def _keep(self) -> None:
        with self._choice(True) as folder:
            now = boot_choice.read(folder / "autoboot.txt")
            if now.starts != self._taken.partition:
                if not self._taken.tried or now.tried != self._taken.partition:
                    raise OSError("what runs was not started on trial")
                boot_choice.write(folder / "autoboot.txt", BootChoice(now.tried, now.starts))
        self._kept.touch()  # also where it was kept, and this was cut off

    def _settled(self, otherwise: str) -> None:
        if self._on_trial():
            raise OSError(otherwise)

    def _on_trial(self) -> bool:
        with self._choice(False) as folder:
            return boot_choice.read(folder / "autoboot.txt").starts != self._taken.partition


def has_link(file: Path, folder: Path) -> bool:
    """Whether a part of the path below the folder leads elsewhere."""
    below = [file, *file.parents]
    return any(part.is_symlink() for part in below[: below.index(folder)])


@contextlib.contextmanager
def mounted(writing: bool, device: Path = CHOICE, place: Path = MOUNTED) -> Iterator[Path]:
    """The partition that the firmware reads first: mounted only while it is used, and so that it
    can be written only where it is to be."""
    place.mkdir(parents=True, exist_ok=True)
    how = "rw,sync" if writing else "ro"
    run("mount", "-t", "vfat", "-o", f"{how},nosuid,nodev,noexec,umask=077", device, place)
    try:
        yield place
    finally:
        run("umount", place)


def take_request(file: Path = REQUEST) -> dict[str, Any]:
    """Read once, and removed: whoever laid it there may be anybody. Raises `OSError`,
    `ValueError`."""
    try:
        number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    finally:
        os.unlink(file)
    with open(number, "rb") as opened:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(f"{file} is no file")
        data = opened.read(REQUEST_LIMIT)
    try:
        said = json.loads(data)
    except RecursionError:
        raise ValueError("a request is not that deep") from None
    if not isinstance(said, dict):
        raise ValueError("a request is an object")
    return said


def answer(to: Any, error: str, file: Path = ANSWER) -> None:
    part = file.with_suffix(".part")
    part.write_text(json.dumps({"id": str(to)[:64], "error": error}))
    part.chmod(0o644)
    os.replace(part, file)


def main(words: list[str]) -> int:
    taken = boot_choice.taken()
    service = SlotsService(taken, mounted)
    if words == ["end-trial"]:
        return end_trial(service, taken)
    asked: dict[str, Any] = {}
    error = ""
    then: tuple[str, ...] = ()
    try:
        asked = take_request()
        then = service.do(asked)
    except (OSError, ValueError) as failed:
        error = str(failed) or type(failed).__name__
        print(f"{asked.get('do')}: {error}", file=sys.stderr)
    answer(asked.get("id"), error)
    if then:
        run(*then)
    return 0


def end_trial(service: SlotsService, taken: Taken, run: Run = run) -> int:
    """Ten minutes after the start, and nobody has said anything. Most starts are no trial."""
    if not taken.tried:
        return 0
    try:
        then = service.do({"do": "end-trial"})
    except ValueError:  # a choice that can't be read: the firmware falls back by itself
        then = REBOOT
    except OSError:
        return 0
    run(*then)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
