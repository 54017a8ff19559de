"""What slots promise (`hal.ports.Slots`): over the model, and over the agent's requests with the
service that carries them out, on a folder in place of the boot partition.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hal.host import HostDisk
from hal.ports import Slots
from hal.rpi.slots import boot_choice, requests, service
from hal.rpi.slots.boot_choice import BootChoice, Taken
from hal.rpi.slots.requests import AskedSlots
from hal.rpi.slots.service import SlotsService
from hal.simulated.slots import SimulatedSlots
from hal.unconnected import NoSlots


def read_bundle(data: bytes) -> str:
    """In the place of RAUC: who signed, and the release."""
    by, _, release = data.decode().partition(" ")
    if by != "agency":
        raise OSError("signature verification failed")
    return release


class Machine:
    """Boots, and gives its slots as the agent has them."""

    def boot(self) -> Slots:
        raise NotImplementedError

    def bundle(self, data: bytes) -> str:
        raise NotImplementedError


class ModelMachine(Machine):
    def __init__(self, folder: Path) -> None:
        self._disk = HostDisk(folder / "vault")
        self._slots = SimulatedSlots(self._disk, "1.0.0", read_bundle)

    def boot(self) -> Slots:
        self._slots.boot()
        return self._slots

    def bundle(self, data: bytes) -> str:
        with contextlib.suppress(FileNotFoundError):
            self._disk.remove("update/bundle")
        self._disk.create("update/bundle")
        self._disk.append("update/bundle", data)
        return "update/bundle"


class ServedMachine(Machine):
    """The agent's side, the service, and a firmware that reads `autoboot.txt`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.vault = folder / "vault"
        (self.vault / "update").mkdir(parents=True)
        (folder / "choice").mkdir()
        self.choice = folder / "choice" / "autoboot.txt"
        self.choice.write_text(str(BootChoice(2, 3)))
        self.releases = {2: "1.0.0", 3: ""}
        self.once = False
        self.ran: list[list[str]] = []

    def boot(self) -> Slots:
        choice = boot_choice.read(self.choice)
        tried, self.once = self.once, False
        number = choice.tried if tried and self.releases[choice.tried] else choice.starts
        tree = self.folder / "tree"
        tree.mkdir(exist_ok=True)
        (tree / "partition").write_bytes(number.to_bytes(4, "big"))
        (tree / "tryboot").write_bytes(int(tried).to_bytes(4, "big"))
        taken = boot_choice.taken(tree)
        self.runs = number
        request, answer = self.folder / "request", self.folder / "answer"

        @contextlib.contextmanager
        def mounted(writing: bool) -> Iterator[Path]:
            yield self.folder / "choice"

        run = self.folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir()
        served = SlotsService(
            taken, mounted, self._run, self.vault,
            kept=run / "kept", installed=run / "installed",
        )  # fmt: skip

        def carried_out(_: float) -> None:
            error = ""
            asked: dict[str, Any] = {}
            try:
                asked = service.take_request(request)
                then = served.do(asked)
                self.once = "--reboot-argument=0 tryboot" in then
                self.ran += [list(then)] if then else []
            except (OSError, ValueError) as failed:
                error = str(failed)
            service.answer(asked.get("id"), error, answer)

        return AskedSlots(
            self.releases[number],
            taken,
            request,
            answer,
            self.folder / "cancel",
            run / "kept",
            carried_out,
        )

    def _run(self, *words: object, until: Callable[[], bool] = lambda: False) -> None:
        said = [str(word) for word in words]
        self.ran.append(said)
        if said[:2] == ["rauc", "install"]:
            release = read_bundle(Path(said[2]).read_bytes())
            if release < self.releases[self.runs]:
                raise OSError("older than min-bundle-version")
            self.releases[5 - self.runs] = release

    def bundle(self, data: bytes) -> str:
        (self.vault / "update" / "bundle").write_bytes(data)
        return "update/bundle"


@pytest.fixture(params=[ModelMachine, ServedMachine])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    made: Machine = request.param(tmp_path)
    return made


def test_an_installed_release_is_tried_once_and_not_more(machine: Machine) -> None:
    slots = machine.boot()
    assert slots.running() == ("1.0.0", False)
    slots.install(machine.bundle(b"agency 1.1.0"))
    assert slots.running() == ("1.0.0", False)
    slots.start_other()
    assert machine.boot().running() == ("1.1.0", True)
    assert machine.boot().running() == ("1.0.0", False)


def test_without_being_asked_nothing_new_starts(machine: Machine) -> None:
    slots = machine.boot()
    slots.install(machine.bundle(b"agency 1.1.0"))
    assert machine.boot().running() == ("1.0.0", False)


def test_what_is_kept_starts_from_then_on(machine: Machine) -> None:
    slots = machine.boot()
    slots.install(machine.bundle(b"agency 1.1.0"))
    slots.start_other()
    slots = machine.boot()
    slots.keep()
    assert slots.running() == ("1.1.0", False)
    slots.keep()
    for _ in range(2):
        assert machine.boot().running() == ("1.1.0", False)
    slots = machine.boot()
    slots.install(machine.bundle(b"agency 1.2.0"))
    slots.start_other()
    assert machine.boot().running() == ("1.2.0", True)
    assert machine.boot().running() == ("1.1.0", False)


def test_on_trial_the_way_back_is_not_written_over(machine: Machine) -> None:
    slots = machine.boot()
    slots.install(machine.bundle(b"agency 1.1.0"))
    slots.start_other()
    slots = machine.boot()
    with pytest.raises(OSError, match="way back"):
        slots.install(machine.bundle(b"agency 1.2.0"))
    with pytest.raises(OSError, match="starts no other"):
        slots.start_other()
    assert machine.boot().running() == ("1.0.0", False)


def test_the_end_of_a_trial_needs_one(machine: Machine) -> None:
    slots = machine.boot()
    with pytest.raises(OSError, match="nothing is on trial"):
        slots.end_trial()
    slots.install(machine.bundle(b"agency 1.1.0"))
    slots.start_other()
    slots = machine.boot()
    slots.end_trial()
    assert machine.boot().running() == ("1.0.0", False)


@pytest.mark.parametrize("data", [b"nobody 1.1.0", b"agency 0.9.0"])
def test_a_bundle_that_is_refused_leaves_both_as_they_are(machine: Machine, data: bytes) -> None:
    slots = machine.boot()
    with pytest.raises(OSError, match=r"signature|older"):
        slots.install(machine.bundle(data))
    with contextlib.suppress(OSError):
        slots.start_other()
    assert machine.boot().running().release == "1.0.0"


def test_what_was_kept_is_on_trial_for_no_later_process(tmp_path: Path) -> None:
    """The firmware goes on saying that it was tried, until the machine starts again."""
    machine = ServedMachine(tmp_path)
    slots = machine.boot()
    slots.install(machine.bundle(b"agency 1.1.0"))
    slots.start_other()
    slots = machine.boot()
    slots.keep()
    later = AskedSlots(
        "1.1.0", Taken(3, tried=True), tmp_path / "request", tmp_path / "answer",
        tmp_path / "cancel", tmp_path / "run" / "kept",
    )  # fmt: skip
    assert later.running() == ("1.1.0", False)


def test_the_older_release_in_the_other_slot_is_not_started(machine: Machine) -> None:
    """Who owns the agent's user can't go back by it."""
    slots = machine.boot()
    slots.install(machine.bundle(b"agency 1.1.0"))
    slots.start_other()
    slots = machine.boot()
    slots.keep()
    slots = machine.boot()
    with pytest.raises(OSError, match="nothing was installed"):
        slots.start_other()
    assert machine.boot().running() == ("1.1.0", False)


# --- the service alone ----------------------------------------------------------------------------


def served(tmp_path: Path, partition: int = 2) -> tuple[ServedMachine, SlotsService]:
    machine, taken = ServedMachine(tmp_path), Taken(partition, tried=False)
    machine.runs = partition

    @contextlib.contextmanager
    def mounted(writing: bool) -> Iterator[Path]:
        yield tmp_path / "choice"

    marks = {name: tmp_path / name for name in ("kept", "installed")}
    return machine, SlotsService(taken, mounted, machine._run, machine.vault, **marks)


@pytest.mark.parametrize("bundle", ["../bundle", "/etc/passwd", "", "update/../../x"])
def test_only_what_is_in_the_vault_is_a_bundle(tmp_path: Path, bundle: str) -> None:
    machine, it = served(tmp_path)
    with pytest.raises(OSError, match="no bundle in the vault"):
        it.do({"do": "install", "bundle": bundle})
    assert machine.ran == []


def test_a_link_is_no_bundle(tmp_path: Path) -> None:
    machine, it = served(tmp_path)
    (tmp_path / "elsewhere").write_bytes(b"agency 1.1.0")
    (machine.vault / "update" / "bundle").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="no bundle in the vault"):
        it.do({"do": "install", "bundle": "update/bundle"})
    (tmp_path / "folder").mkdir()
    (machine.vault / "link").symlink_to(tmp_path / "folder")
    with pytest.raises(OSError, match="no bundle in the vault"):
        it.do({"do": "install", "bundle": "link/bundle"})


def test_only_what_was_tried_is_kept(tmp_path: Path) -> None:
    """The firmware took the other slot for another reason than being asked: a recovery by hand."""
    machine, it = served(tmp_path, 3)
    with pytest.raises(OSError, match="not started on trial"):
        it.do({"do": "keep"})
    assert boot_choice.read(machine.choice) == (2, 3)


def test_keeping_that_was_cut_off_behind_the_choice_is_finished(tmp_path: Path) -> None:
    """Else the firmware's word, that it was tried, would hold for each later process."""
    machine, _ = served(tmp_path)
    machine.releases[3] = "1.1.0"
    machine.once = True
    slots = machine.boot()
    boot_choice.write(machine.choice, BootChoice(3, 2))
    assert slots.running() == ("1.1.0", True)
    slots.keep()
    assert slots.running() == ("1.1.0", False)


@pytest.mark.parametrize("what", ["", "reboot", None, 7])
def test_it_does_nothing_else(tmp_path: Path, what: object) -> None:
    machine, it = served(tmp_path)
    with pytest.raises(ValueError, match="not asked for anything"):
        it.do({"do": what})
    assert machine.ran == []


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b'{"do":' + b"[" * 5000])
def test_junk_for_a_request_is_removed_and_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "request"
    file.write_bytes(data)
    with pytest.raises((OSError, ValueError)):
        service.take_request(file)
    assert not file.exists()


def test_a_link_or_a_pipe_is_no_request(tmp_path: Path) -> None:
    file = tmp_path / "request"
    (tmp_path / "secret").write_text("{}")
    file.symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        service.take_request(file)
    assert (tmp_path / "secret").exists()
    assert not file.is_symlink()
    os.mkfifo(file)
    with pytest.raises((OSError, ValueError)):
        service.take_request(file)


def test_what_is_given_up_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="given up"):
        service.run("sleep", "60", until=lambda: True)


def test_what_a_tool_said_last_is_the_reason(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="the end"):
        service.run("sh", "-c", "echo begin; echo the end >&2; exit 3")


# --- the boot choice ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "[all]\nboot_partition=2\n", str(BootChoice(2, 2)), "\xff"])
def test_another_autoboot_txt_is_refused_and_not_written_over(tmp_path: Path, text: str) -> None:
    file = tmp_path / "autoboot.txt"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"other partitions|can't decode"):
        boot_choice.read(file)
    if len(text) != len(str(BootChoice(2, 3))):
        with pytest.raises(OSError, match="another length"):
            boot_choice.write(file, BootChoice(3, 2))


def test_the_images_choice_is_one(tmp_path: Path) -> None:
    image = Path(__file__).parents[2] / "image" / "autoboot.txt"
    assert boot_choice.read(image) == (2, 3)
    assert len(str(BootChoice(3, 2))) == len(str(BootChoice(2, 3))) <= 512


def test_a_machine_without_such_a_firmware_has_no_slots(tmp_path: Path) -> None:
    release = tmp_path / "release"
    assert isinstance(requests.open_slots(release, tmp_path / "tree"), NoSlots)
    release.write_text("1.2.3\n")
    assert isinstance(requests.open_slots(release, tmp_path / "tree"), NoSlots)
    (tmp_path / "tree").mkdir()
    for name, number in (("partition", 3), ("tryboot", 1)):
        (tmp_path / "tree" / name).write_bytes(number.to_bytes(4, "big"))
    assert requests.open_slots(release, tmp_path / "tree").running() == ("1.2.3", True)
    release.write_text("sometime\n")
    assert isinstance(requests.open_slots(release, tmp_path / "tree"), NoSlots)


def test_nobody_answers_is_an_error_after_a_while(tmp_path: Path) -> None:
    slots = AskedSlots(
        "1.0.0", Taken(2, tried=False), tmp_path / "request", tmp_path / "answer",
        tmp_path / "cancel", tmp_path / "kept", lambda _: None,
    )  # fmt: skip
    with pytest.raises(OSError, match="nobody carries out 'keep'"):
        slots.keep()
    assert json.loads((tmp_path / "request").read_text())["do"] == "keep"
