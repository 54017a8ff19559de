"""The image on an emulated machine: QEMU without acceleration. Its pins are driven and read from
outside, through QEMU's own test protocol; its console is read; its power can go at any moment.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

MIB = 1 << 20
# Emulation is slow, and machines that do it differ.
PATIENCE_S = 180.0
# Where partitions begin, in MiB.
CHOICE_AT, SLOTS_AT = 4, {2: 40, 3: 424}
VIRT = ("-display", "none", "-nic", "none", "-cpu", "cortex-a53", "-smp", "2", "-m", "512")
COLOURS = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
LINES = 8  # of a pl061


class MachineError(Exception):
    """The machine did not do what was waited for; with the end of what it said."""


class Machine:
    """One life of a machine, from power on to `cut` or its own end.

    `kind` "virt" has a PL061, whose eight lines are `pins`; "raspi3b" is a Raspberry Pi 3.
    `counted`: instructions are; slower, with one processor. What a board's firmware does is done
    here: it takes the slot that `autoboot.txt` names, or for once (`tried`) the other, and says so
    in the device tree.
    """

    def __init__(
        self,
        folder: Path,
        card: Path,
        *,
        kind: str = "virt",
        more_disks: tuple[Path, ...] = (),
        words: str = "",
        tried: bool = False,
        log_writes: Path | None = None,
        share: Path | None = None,
        counted: bool = False,
    ) -> None:
        self._folder = folder
        self.log = folder / "console.log"
        for name in ("qmp", "qtest"):
            (folder / name).unlink(missing_ok=True)
        self.log.write_bytes(b"")
        self.partition = boot_choice(card)[int(tried)]
        kernel, initrd, tree = boot_files(card, folder, self.partition)
        name, console = "/dev/vda", "ttyAMA0"
        base = [("1" if counted and word == "2" else word) for word in VIRT]
        if kind == "virt":
            subprocess.run(
                ["qemu-system-aarch64", *base, "-M", f"virt,dumpdtb={tree}"],
                check=True, capture_output=True,
            )  # fmt: skip
        else:
            name, console = "/dev/mmcblk0p", "ttyS1"
            # QEMU: its model of the board's watchdog resets the machine as soon as it is started.
            # Of the VideoCore it has the mailbox only.
            words += " systemd.watchdog_sec=off module_blacklist=vchiq"
        append = (
            f"bwv.card={name} console={console} loglevel=4 panic=-1 "
            f"systemd.journald.forward_to_console=1 systemd.default_device_timeout_sec=240 {words}"
        )
        command = [
            "qemu-system-aarch64", "-display", "none", "-no-reboot", "-monitor", "none",
            "-kernel", kernel, "-initrd", initrd, "-append", append, "-dtb", tree,
            "-qmp", f"unix:{folder / 'qmp'},server=on,wait=off",
            "-qtest", f"unix:{folder / 'qtest'},server=on,wait=off", "-qtest-log", "none",
        ]  # fmt: skip
        if kind == "virt":
            command += [*base, "-M", "virt", "-serial", f"file:{self.log}"]
            # The kernel finds the last one first.
            for number, file in enumerate((*more_disks, card)):
                command += drive(file, number, log_writes if file == card else None)
            command += [word for number in range(len(more_disks) + 1)
                        for word in ("-device", f"virtio-blk-device,drive=d{number}")]  # fmt: skip
            if share is not None:
                command += ["-fsdev", f"local,id=share,path={share},security_model=none",
                            "-device", "virtio-9p-device,fsdev=share,mount_tag=share"]  # fmt: skip
        else:
            command += ["-M", "raspi3b", "-drive", f"file={card},format=raw,if=sd",
                        "-serial", "null", "-serial", f"file:{self.log}"]  # fmt: skip
        if counted:
            command += ["-icount", f"shift=0,rr=record,rrfile={folder / 'replay'}"]
        say_what_was_taken(tree, self.partition, tried=tried)
        self.process = subprocess.Popen([str(word) for word in command])
        self.began_s = time.monotonic()
        self._qmp = self._connect("qmp")
        self._qmp.readline()
        self.ask("qmp_capabilities")

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def _connect(self, name: str) -> TextIO:
        deadline = time.monotonic() + 10
        while True:
            place = socket.socket(socket.AF_UNIX)
            try:
                place.connect(str(self._folder / name))
                return place.makefile("rw")
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise MachineError(f"QEMU does not answer: {self.process.poll()}") from None
                time.sleep(0.05)

    def ask(self, command: str, **arguments: Any) -> Any:
        self._qmp.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._qmp.flush()
        while True:
            said = json.loads(self._qmp.readline())
            if "return" in said or "error" in said:
                return said.get("return", said)

    @property
    def instructions(self) -> int:
        """Executed so far, where they are counted."""
        return int(self.ask("query-replay")["icount"])

    @property
    def bytes_read(self) -> int:
        """From the card, which is the last disk."""
        found = [
            item["stats"]["rd_bytes"] for item in self.ask("query-blockstats") if item.get("qdev")
        ]
        return int(found[-1])

    @property
    def said(self) -> str:
        """The console until now."""
        return COLOURS.sub(b"", self.log.read_bytes()).decode(errors="replace")

    def wait_for(self, words: str, patience_s: float = PATIENCE_S) -> str:
        """The line with these words (a regular expression)."""
        found: list[str] = []

        def there() -> bool:
            found[:] = [line for line in self.said.splitlines() if re.search(words, line)][:1]
            return bool(found)

        self.until(there, words, patience_s)
        return found[0]

    def until(self, true: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + patience_s
        while not true():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise MachineError(f"in vain: {what}\n" + "\n".join(self.said.splitlines()[-40:]))
            time.sleep(0.1)

    def wait_for_end(self, patience_s: float = PATIENCE_S) -> None:
        self.process.wait(patience_s)

    def cut(self) -> None:
        """As the power goes."""
        self.process.kill()
        self.process.wait()


class Pins:
    """The PL061 of "virt": inputs are set, outputs are heard as they change."""

    def __init__(self, machine: Machine) -> None:
        found = machine.ask("qom-list", path="/machine/unattached")
        name = next(item["name"] for item in found if "pl061" in item["type"])
        self._path = f"/machine/unattached/{name}"
        self._talk = machine._connect("qtest")
        self.changes: list[tuple[float, int, bool]] = []
        self._say(f"irq_intercept_out {self._path}")

    def drive(self, line: int, high: bool) -> None:
        self._say(f"set_irq_in {self._path} unnamed-gpio-in {line} {int(high)}")

    def press(self, line: int, held_s: float) -> None:
        """A contact to ground."""
        self.drive(line, False)
        time.sleep(held_s)
        self.drive(line, True)

    def look(self) -> None:
        """Takes in what has changed meanwhile."""
        self._say(f"set_irq_in {self._path} unnamed-gpio-in 3 0")

    def _say(self, words: str) -> None:
        self._talk.write(words + "\n")
        self._talk.flush()
        while True:
            line = self._talk.readline().split()
            if line[:1] == ["IRQ"]:
                self.changes.append((time.monotonic(), int(line[2]), line[1] == "raise"))
            elif line:
                if line[0] != "OK":
                    raise MachineError(f"QEMU refuses {words!r}: {line}")
                return


def card_of(image: Path, place: Path, size_mib: int = 1536) -> Path:
    """The image on a larger card, as when it is flashed."""
    subprocess.run(["cp", "--sparse=always", image, place], check=True)
    with place.open("r+b") as file:
        file.truncate(size_mib * MIB)
    return place


def boot_choice(card: Path) -> tuple[int, int]:
    """The partition that starts, and the one that is tried, as a firmware reads them."""
    text = subprocess.run(
        ["mtype", "-i", f"{card}@@{CHOICE_AT}M", "::autoboot.txt"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    said: dict[str, int] = {}
    part = ""
    for line in text.splitlines():
        if line.startswith("["):
            part = line
        elif line.startswith("boot_partition="):
            said[part] = int(line.partition("=")[2])
    return said["[all]"], said["[tryboot]"]


def boot_files(card: Path, folder: Path, partition: int) -> tuple[Path, Path, Path]:
    """Kernel, first process and device tree out of a slot, as a firmware reads them."""
    at = f"{card}@@{SLOTS_AT[partition]}M"
    names = ("vmlinuz", "initrd.img", "bcm2837-rpi-3-b.dtb")
    for name in names:
        subprocess.run(["mcopy", "-n", "-o", "-i", at, f"::{name}", folder / name], check=True)
    kernel, initrd, tree = (folder / name for name in names)
    return kernel, initrd, tree


def say_what_was_taken(tree: Path, partition: int, *, tried: bool) -> None:
    subprocess.run(["fdtput", "-c", tree, "-p", "/chosen/bootloader"], check=True)
    for name, number in (("partition", partition), ("tryboot", int(tried))):
        words = ["fdtput", "-t", "i", tree, "/chosen/bootloader", name, number]
        subprocess.run([str(word) for word in words], check=True)


def drive(file: Path, number: int, log: Path | None) -> list[str]:
    """A disk; with every write in a log, in order, where one is asked for."""
    if log is None:
        return ["-drive", f"file={file},format=raw,if=none,id=d{number},cache=writeback"]
    log.write_bytes(b"")
    return [
        "-blockdev", f"driver=file,filename={file},node-name=f{number}",
        "-blockdev", f"driver=file,filename={log},node-name=l{number}",
        "-blockdev", f"driver=raw,file=f{number},node-name=r{number}",
        "-blockdev",
        f"driver=blklogwrites,file=r{number},log=l{number},node-name=d{number}",
    ]  # fmt: skip


def fat_disk(place: Path, label: str, size_mib: int = 48) -> Path:
    with place.open("wb") as file:
        file.truncate(size_mib * MIB)
    subprocess.run(["mkfs.vfat", "-n", label, place], check=True, capture_output=True)
    return place


def ext4_disk(place: Path, label: str, content: Path, size_mib: int = 32) -> Path:
    with place.open("wb") as file:
        file.truncate(size_mib * MIB)
    words = ["mke2fs", "-q", "-t", "ext4", "-L", label, "-d", str(content), str(place)]
    subprocess.run(words, check=True, capture_output=True)
    return place


def partition(card: Path, number: int, to: Path) -> Path:
    """A copy of a partition, sparse."""
    start, size = partitions(card)[number - 1]
    with card.open("rb") as source, to.open("wb") as out:
        source.seek(start)
        for at in range(0, size, MIB):
            block = source.read(min(MIB, size - at))
            if any(block):
                out.seek(at)
                out.write(block)
        out.truncate(size)
    return to


def files_of(data: Path, folder: Path) -> Path:
    """What stands in an ext4 file system, without mounting it: its journal is replayed first."""
    subprocess.run(["e2fsck", "-fp", data], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    subprocess.run(["debugfs", "-R", f"rdump / {folder}", data], check=True, capture_output=True)
    return folder


def partitions(card: Path) -> list[tuple[int, int]]:
    """Where each begins, and how long it is, in bytes."""
    done = subprocess.run(["sfdisk", "--json", card], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)["partitiontable"]["partitions"]
    return [(int(part["start"]) * 512, int(part["size"]) * 512) for part in found]


def fill_data(card: Path, content: Path, owner: int = 990) -> None:
    """Files onto the footage partition of a card that never started, as its owner's."""
    start, size = partitions(card)[3]
    place = card.with_suffix(".data")
    ext4_disk(place, "bwv-data", content, size // MIB)
    orders = ["sif / uid 990", "sif / gid 990"]
    for path in sorted(content.rglob("*")):
        name = f"/{path.relative_to(content)}"
        orders += [f"sif {name} uid {owner}", f"sif {name} gid {owner}"]
    subprocess.run(["debugfs", "-w", "-f", "-", place], input="\n".join(orders), text=True,
                   check=True, capture_output=True)  # fmt: skip
    with card.open("r+b") as file:
        file.seek(start)
        file.write(place.read_bytes())
    place.unlink()
