"""Packs a root and what boots it into partitions, and those into an image. Everything that would
differ between two builds (times, numbers, names) is given.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from shell import EPOCH, run

MIB = 1 << 20
CHOICE_MIB, SLOT_MIB, DATA_MIB, ALIGN_MIB = 36, 384, 64, 4
DISK_ID, CHOICE_ID, SLOT_ID = 0x62777631, "62777640", "62777641"
DATA_UUID = "62777600-0000-4000-8000-000000000001"


def squash(root: Path, out: Path) -> None:
    run("mksquashfs", root, out, "-noappend", "-quiet", "-no-xattrs", "-all-root", "-comp", "zstd",
        "-b", "128K")  # fmt: skip


def write_slot(slot: Path, out: Path) -> None:
    """A slot as a partition holds it, and as a bundle brings it: the same for A and B."""
    fat(out, SLOT_MIB, SLOT_ID, "BWV-SLOT")
    copy_files(slot, out)


def write_image(work: Path, choice: Path, slot: Path, out: Path) -> None:
    """Who chooses between two slots, the second empty, and the partition of footage."""
    first, second = work / "choice.img", work / "slot-b.img"
    fat(first, CHOICE_MIB, CHOICE_ID, "BWV-CHOICE")
    copy_files(choice, first)
    with second.open("wb") as image:
        image.truncate(SLOT_MIB * MIB)
    data = work / "data.img"
    with data.open("wb") as image:
        image.truncate(DATA_MIB * MIB)
    run("mke2fs", "-q", "-t", "ext4", "-L", "bwv-data", "-U", DATA_UUID, "-m", "0", "-b", "4096",
        "-E", f"hash_seed={DATA_UUID},lazy_itable_init=0,lazy_journal_init=0,root_owner=990:990",
        "-O", "metadata_csum_seed", data,
        env={**os.environ, "E2FSPROGS_FAKE_TIME": str(EPOCH)})  # fmt: skip
    parts = [(first, "0c"), (slot, "0c"), (second, "0c"), (data, "83")]
    at, rows = ALIGN_MIB, []
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f"{out.name}.part")
    with part.open("wb") as image:
        image.truncate((ALIGN_MIB + CHOICE_MIB + 2 * SLOT_MIB + DATA_MIB) * MIB)
        for file, kind in parts:
            size = file.stat().st_size // MIB
            rows.append(f"start={at * MIB // 512}, size={size * MIB // 512}, type={kind}")
            copy_sparsely(file, image, at * MIB)
            at += size
    table = f"label: dos\nlabel-id: {DISK_ID:#x}\n" + "\n".join(rows) + "\n"
    run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", part, text=table)
    part.replace(out)


def fat(file: Path, size_mib: int, serial: str, name: str) -> None:
    with file.open("wb") as image:
        image.truncate(size_mib * MIB)
    run("mkfs.vfat", "-F", "32", "-s", "1" if size_mib < 64 else "8", "--invariant", "-i", serial,
        "-n", name, file)  # fmt: skip


def copy_files(folder: Path, to: Path) -> None:
    for path in sorted(folder.iterdir()):
        os.utime(path, (EPOCH, EPOCH))
        run("mcopy", "-m", "-i", to, path, f"::{path.name}")


def copy_sparsely(file: Path, image: BinaryIO, at: int) -> None:
    with file.open("rb") as source:
        for number in range(file.stat().st_size // MIB):
            block = source.read(MIB)
            if any(block):
                image.seek(at + number * MIB)
                image.write(block)
