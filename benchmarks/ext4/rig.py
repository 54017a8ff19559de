"""An ext4 on a loop device on a FUSE export of QEMU's storage daemon, which logs every write.

Buffered loop, never direct I/O: with it the log was seen to hold another request's bytes.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

SIZE_MIB = 64
NEEDED = {
    "qemu-storage-daemon": "qemu-system-common",
    "fusermount3": "fuse3",
    "mkfs.ext4": "e2fsprogs",
    "losetup": "mount",
}
PATIENCE_S = 10


class RigError(RuntimeError):
    """The rig can't be built here."""


def check_tools() -> None:
    """Raises `RigError` that names the Debian packages."""
    missing = [package for tool, package in NEEDED.items() if not shutil.which(tool)]
    if missing:
        raise RigError(f"apt-get install {' '.join(missing)}")
    if not Path("/dev/fuse").exists() or not Path("/dev/loop-control").exists():
        raise RigError("this needs root, /dev/fuse and loop devices")


class Rig:
    """Makes a file system in `folder`; inside `logging` every write to it is kept."""

    def __init__(self, folder: Path) -> None:
        check_tools()
        self.folder, self.mount = folder, folder / "mnt"
        self.base, self.image = folder / "base.img", folder / "disk.img"
        self.log, self._export = folder / "writes.log", folder / "export"
        self.mount.mkdir()
        with self.base.open("wb") as file:
            file.truncate(SIZE_MIB << 20)
        options = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
        _run("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", options, str(self.base))
        shutil.copyfile(self.base, self.image)

    @contextlib.contextmanager
    def logging(self, options: str = "defaults") -> Iterator[Path]:
        """The mounted file system; unmounted and detached at the end."""
        self.log.touch()
        self._export.touch()
        daemon = self._start()
        try:
            with mounted(self._export, self.mount, options):
                yield self.mount
        finally:
            daemon.terminate()
            daemon.wait(PATIENCE_S)

    def _start(self) -> subprocess.Popen[bytes]:
        file = "driver=file,cache.no-flush=on"
        daemon = subprocess.Popen(
            [
                "qemu-storage-daemon",
                *("--blockdev", f"{file},node-name=img,filename={self.image},discard=unmap"),
                *("--blockdev", f"{file},node-name=log,filename={self.log}"),
                "--blockdev",
                "driver=blklogwrites,node-name=lw,file=img,log=log,log-sector-size=512,"
                "log-super-update-interval=1,discard=unmap",
                "--export",
                f"type=fuse,id=e0,node-name=lw,mountpoint={self._export},writable=on,growable=off",
            ]
        )
        until = time.monotonic() + PATIENCE_S
        while self._export.stat().st_size != SIZE_MIB << 20:
            if daemon.poll() is not None or time.monotonic() > until:
                daemon.kill()
                raise RigError("qemu-storage-daemon does not start")
            time.sleep(0.005)
        return daemon

    def atomic_sectors(self) -> list[int]:
        """The file system's superblock (block 0) and the journal's, in sectors."""
        done = _run("debugfs", "-R", "blocks <8>", str(self.base))
        journal = int(done.split()[0]) * 8
        return [*range(8), *range(journal, journal + 8)]


@contextlib.contextmanager
def mounted(image: Path, point: Path, options: str = "defaults") -> Iterator[Path]:
    """An image mounted as ext4 with its journal."""
    device = _run("losetup", "-f", "--show", str(image)).strip()
    try:
        _run("mount", "-t", "ext4", "-o", options, device, str(point))
        try:
            yield point
        finally:
            _unmount(point)
    finally:
        _run("losetup", "-d", device)


def _unmount(point: Path) -> None:
    """What a broken file system leaves open must not keep it mounted: a planted bug may break it
    at any line. It is still said."""
    try:
        _run("umount", str(point))
    except RigError:
        _run("umount", "--lazy", str(point))
        raise


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RigError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
