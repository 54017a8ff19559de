"""Builds the camera's SD-card image from packages.lock, the locked wheels and this source: no root,
no emulation, no network but for what the locks name. Two builds are equal byte for byte.

Packages are unpacked, not installed: none of their scripts runs (see `system`).

python image/build.py --out FILE [--cache FOLDER] [--mirror URL] [--lock FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import NamedTuple

from card import squash, write_image, write_slot
from initrd import write_initrd
from shell import EPOCH, run, say
from system import system

HERE = Path(__file__).parent
TREE = HERE.parent
AGENT = "opt/bwv-device"
PYTHON = "python3.13"
COMMAND = """import sys

from bwv_device.__main__ import main

sys.exit(main())
"""


class Package(NamedTuple):
    sha256: str
    size: int
    arch: str
    path: str


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=TREE / ".cache" / "image")
    parser.add_argument("--lock", type=Path, default=HERE / "packages.lock")
    parser.add_argument("--release", type=release, default=project_version())
    parser.add_argument("--mirror", help="default: where this machine gets Debian's packages from")
    options = parser.parse_args()
    cache, work = options.cache.resolve(), options.cache.resolve() / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    os.environ.update(SOURCE_DATE_EPOCH=str(EPOCH), TZ="UTC", LC_ALL="C.UTF-8", PYTHONHASHSEED="0")
    os.umask(0o022)
    packages = read_lock(options.lock)
    fetch(packages, options.mirror or mirror(), cache / "packages")
    say("unpacking")
    root, compiler = work / "root", work / "compiler"
    for package in packages:
        into = root if package.arch == "arm64" else compiler
        run("dpkg-deb", "--extract", cache / "packages" / package.sha256, into)
    slot, choice = work / "slot", work / "choice"
    for folder in (slot, choice):
        folder.mkdir()
    version = kernel_version(root)
    run("depmod", "--basedir", root, version)
    boot_files(root, slot, choice, version)
    say("the agent")
    agent(root, cache / "wheels")
    system(root, options.release)
    byte_code(root, compiler, packages)
    say("packing")
    write_initrd(root, version, slot / "initrd.img")
    squash(root, slot / "root.squashfs")
    (slot / "release").write_text(f"{options.release}\n")
    update = options.out.with_suffix(".slot.img")
    write_slot(slot, update)
    write_image(work, choice, update, options.out)
    for file in (options.out, update):
        print(f"{digest_of(file)}  {file.name}")


def read_lock(file: Path) -> list[Package]:
    found = []
    for line in file.read_text().splitlines():
        if line and not line.startswith("#"):
            sha256, size, arch, path = line.split(maxsplit=3)
            found.append(Package(sha256, int(size), arch, path))
    return found


def mirror() -> str:
    return run("sh", TREE / "scripts" / "debian-source").strip().rstrip("/")


def fetch(packages: list[Package], source: str, folder: Path) -> None:
    """Each by its digest. A mirror keeps only the newest: --mirror may name a snapshot of the
    lock's date."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, package in enumerate(packages, 1):
        file = folder / package.sha256
        if file.exists() and digest_of(file) == package.sha256:
            continue
        say(f"fetching {number} of {len(packages)}: {Path(package.path).name}")
        url = f"{source}/{urllib.parse.quote(package.path)}"
        try:
            with urllib.request.urlopen(url, timeout=120) as answer:
                data = answer.read(package.size + 1)
        except OSError as error:
            raise SystemExit(f"{url}: {error}. Name a mirror that has it: --mirror URL") from None
        if hashlib.sha256(data).hexdigest() != package.sha256:
            raise SystemExit(f"{url} is not what packages.lock names: nothing was built")
        part = file.with_suffix(".part")
        part.write_bytes(data)
        part.replace(file)


def digest_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def kernel_version(root: Path) -> str:
    (folder,) = (root / "usr/lib/modules").iterdir()
    return folder.name


def project_version() -> str:
    found = re.search(r'(?m)^version = "([^"]+)"', (TREE / "pyproject.toml").read_text())
    assert found
    return found[1]


def release(text: str) -> str:
    """A newer release has the larger numbers."""
    if not re.fullmatch(r"(0|[1-9]\d{0,8})(\.(0|[1-9]\d{0,8})){2}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not three numbers with dots between")
    return text


def agent(root: Path, wheels: Path) -> None:
    """A virtual environment by its files: the locked wheels and ours, without the simulator."""
    site = root / AGENT / "lib" / PYTHON / "site-packages"
    site.mkdir(parents=True)
    (root / AGENT / "bin").mkdir()
    (root / AGENT / "pyvenv.cfg").write_text(
        "home = /usr/bin\ninclude-system-site-packages = true\nversion = 3.13\n"
    )
    for name in ("python", "python3"):
        (root / AGENT / "bin" / name).symlink_to(f"/usr/bin/{PYTHON}")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    platforms = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
    lock = TREE / "requirements-rig.lock"
    stamp = wheels / "lock"
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        shutil.rmtree(wheels, ignore_errors=True)
        run(*pip, "download", "--no-deps", "--require-hashes", "--only-binary", ":all:",
            "--python-version", "313", "--implementation", "cp",
            *(word for name in platforms for word in ("--platform", f"{name}_aarch64")),
            "--dest", wheels, "--requirement", lock)  # fmt: skip
        stamp.write_bytes(lock.read_bytes())
    for wheel in sorted(wheels.glob("*.whl")):
        run(sys.executable, "-m", "zipfile", "-e", wheel, site)
    ours = wheels.parent / "work" / "wheel"
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", ours, TREE)
    (wheel,) = ours.glob("bwv_device-*.whl")
    run(sys.executable, "-m", "zipfile", "-e", wheel, site)
    shutil.rmtree(site / "sim")
    (points,) = site.glob("bwv_device-*.dist-info/entry_points.txt")
    kept = [line for line in points.read_text().splitlines() if "sim." not in line]
    points.write_text("\n".join(kept) + "\n")
    for record in site.glob("*.dist-info/RECORD"):
        record.unlink()
    command = root / AGENT / "bin" / "bwv"
    command.write_text(f"#!/{AGENT}/bin/python\n{COMMAND}")
    command.chmod(0o755)
    (root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
    (root / "usr/local/bin/bwv").symlink_to(f"/{AGENT}/bin/bwv")


def byte_code(root: Path, compiler: Path, packages: list[Package]) -> None:
    """Compiled once, here, by the same Python: the root can't be written. Byte code is the same on
    every processor."""
    if any(package.arch == "amd64" for package in packages):
        lib = compiler / "usr/lib/x86_64-linux-gnu"
        loader = compiler / "usr/lib64/ld-linux-x86-64.so.2"
        python = [loader, "--library-path", lib, compiler / "usr/bin" / PYTHON]
        environment = {**os.environ, "PYTHONHOME": str(compiler / "usr")}
    else:
        python, environment = (
            [root / "usr/bin" / PYTHON],
            {**os.environ, "PYTHONHOME": str(root / "usr")},
        )
    folders = [
        root / "usr/lib" / PYTHON,
        root / "usr/lib/python3/dist-packages",
        root / AGENT / "lib",
    ]
    for folder in folders:
        if folder.exists():
            run(*python, "-I", "-m", "compileall", "-q", "-s", root, "-p", "/",
                "-x", "lib2to3|/test/", "--invalidation-mode", "unchecked-hash", folder,
                env=environment)  # fmt: skip


def boot_files(root: Path, slot: Path, choice: Path, version: str) -> None:
    """What a boot loader reads: out of the root, into the slot; and what chooses the slot."""
    shutil.move(root / f"boot/vmlinuz-{version}", slot / "vmlinuz")
    trees = root / f"usr/lib/linux-image-{version}"
    for file in sorted(trees.glob("broadcom/*.dtb")):
        shutil.copy(file, slot / file.name)
    firmware = root / "boot/firmware"
    if firmware.is_dir():  # Raspberry Pi OS: the board's own
        shutil.copytree(firmware, slot, dirs_exist_ok=True)
    shutil.rmtree(trees, ignore_errors=True)
    shutil.rmtree(root / "boot")
    for name in ("config.txt", "cmdline.txt"):
        shutil.copy(HERE / name, slot / name)
    shutil.copy(HERE / "autoboot.txt", choice / "autoboot.txt")
    if (slot / "bootcode.bin").exists():  # boards before the Pi 4 load it from the first partition
        shutil.copy(slot / "bootcode.bin", choice / "bootcode.bin")


if __name__ == "__main__":
    main()
