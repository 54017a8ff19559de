"""A read-only root by Debian's overlayroot, with its own functions and the mounts that they name.

By default it covers the footage partition too, and all footage is in memory: the agent refuses it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.virtual_rig

TREE = Path(__file__).parents[2]
FUNCTIONS = ("clean_path", "get_workdir", "overlayrootify_fstab")
ASKS = """
import sys
from dataclasses import replace
from bwv_device.commands.run import open_vault
from bwv_device.errors import VaultError
from bwv_device.settings import Settings
settings = Settings()
settings = replace(settings, device=replace(settings.device, vault=sys.argv[1]))
try:
    open_vault(settings, trial=False)
    print("accepted")
except VaultError as error:
    print(error)
"""
MOUNTS = """set -eu
mount -t tmpfs tmpfs "$1/rw"
while read -r spec file kind options rest; do
    case $spec in "#"*|"") continue ;; esac
    mkdir -p "$file"
    case $kind in
        overlay)
            for word in $(echo "$options" | tr , " "); do
                case $word in upperdir=*|workdir=*) mkdir -p "${word#*=}" ;; esac
            done
            mount -t overlay overlay -o "$options" "$file" ;;
        *)
            mount --bind "$spec" "$file"
            case ,$options, in *,ro,*) mount -o remount,bind,ro "$file" ;; esac ;;
    esac
done <"$1/fstab.overlaid"
exec "$2" -c "$3" "$1/footage/vault"
"""


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("overlayroot")
    subprocess.run(["apt-get", "download", "overlayroot"], cwd=folder, check=True,
                   capture_output=True)  # fmt: skip
    (package,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, folder], check=True)
    script = folder / "usr/share/initramfs-tools/scripts/init-bottom/overlayroot"
    text = script.read_text()
    found = [re.search(rf"(?ms)^{name}\(\) \{{.*?^}}\n", text) for name in FUNCTIONS]
    assert all(found)
    (folder / "functions.sh").write_text("".join(one[0] for one in found if one))
    return folder / "functions.sh"


@pytest.mark.parametrize(("recurse", "accepted"), [(1, False), (0, True)])
def test_footage_is_never_kept_in_memory(
    functions: Path, tmp_path: Path, recurse: int, accepted: bool
) -> None:
    """With `recurse=0`, which `make pi` sets, the partition is left alone."""
    for name in ("device", "ro", "rw", "footage"):
        (tmp_path / name).mkdir()
    (tmp_path / "device" / "vault").mkdir()
    line = f"{tmp_path}/device {tmp_path}/footage ext4 noatime,commit=5 0 2\n"
    (tmp_path / "fstab").write_text(line)
    words = f"{tmp_path}/fstab {tmp_path}/ro {tmp_path}/rw / {recurse} 0 overlay"
    shell = f". {functions}; needs_workdir() {{ true; }}; overlayrootify_fstab {words}"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
    (tmp_path / "fstab.overlaid").write_text(done.stdout)
    asked = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNTS, "sh",
         str(tmp_path), sys.executable, ASKS],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(TREE)},
    ).stdout  # fmt: skip
    if accepted:
        assert asked == "accepted\n"
    else:
        assert "is on overlay: a power loss would erase all footage" in asked
