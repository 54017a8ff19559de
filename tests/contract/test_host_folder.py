"""A folder on a real kernel: who has it, and whether a power loss erases it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bwv_device.commands.run import open_vault
from bwv_device.errors import VaultError
from bwv_device.settings import Device, Settings
from hal.host import InUseError, filesystem, lock_folder

HOLD = (
    "import sys, pathlib; from hal.host import lock_folder; "
    "lock_folder(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
)

# As overlayroot writes them: with recurse=1 (raspi-config) and with recurse=0.
RECURSE_1 = """\
22 1 0:20 / / rw - overlay overlayroot rw,lowerdir=/media/root-ro,upperdir=/media/root-rw/overlay
30 22 179:3 / /media/root-ro/var/lib/bwv-device ro - ext4 /dev/mmcblk0p3 ro
31 22 0:31 / /var/lib/bwv-device rw - overlay /media/root-ro/var/lib/bwv-device rw
"""
RECURSE_0 = """\
22 1 0:20 / / rw - overlay overlayroot rw,lowerdir=/media/root-ro,upperdir=/media/root-rw/overlay
31 22 179:3 / /var/lib/bwv-device rw - ext4 /dev/mmcblk0p3 rw
32 22 0:33 / /mnt/with\\040blank rw - tmpfs tmpfs rw
"""


def settings(vault: Path) -> Settings:
    return Settings(device=Device(vault=str(vault)))


def test_a_second_camera_is_refused_and_the_first_one_named(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(InUseError) as caught:
        lock_folder(tmp_path)
    assert caught.value.pid == holder.pid
    with pytest.raises(VaultError, match=f"in use by process {holder.pid}"):
        open_vault(settings(tmp_path), trial=True)
    holder.kill()
    holder.communicate()
    os.close(lock_folder(tmp_path))  # a process that was killed holds nothing


def test_the_lock_leaves_no_file_behind(tmp_path: Path) -> None:
    os.close(lock_folder(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_what_the_read_only_root_of_raspi_config_does_is_seen() -> None:
    vault = Path("/var/lib/bwv-device")
    assert filesystem(vault, RECURSE_1) == "overlay"
    assert filesystem(vault, RECURSE_0) == "ext4"
    assert filesystem(vault / "vault", RECURSE_0) == "ext4"
    assert filesystem(Path("/var/lib/bwv-device-2"), RECURSE_0) == "overlay"
    assert filesystem(Path("/mnt/with blank/x"), RECURSE_0) == "tmpfs"
    assert filesystem(vault, "") == ""


def test_footage_is_not_kept_in_memory_unless_it_is_a_trial() -> None:
    volatile = Path("/dev/shm") / f"bwv-test-{os.getpid()}"
    assert filesystem(volatile) == "tmpfs"
    try:
        with pytest.raises(VaultError, match="on tmpfs: a power loss would erase all footage"):
            open_vault(settings(volatile), trial=False)
        with open_vault(settings(volatile / "trial"), trial=True):
            pass
    finally:
        for folder in (volatile / "trial", volatile):
            folder.rmdir()


def test_a_place_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(VaultError, match="is a file"):
        open_vault(settings(tmp_path / "file"), trial=True)
