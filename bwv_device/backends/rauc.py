"""Makes and reads bundles of software with RAUC's own tool; and mtools, to look into a slot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from bwv_device.errors import CustodyError, KeyFileError, MissingPartError
from bwv_device.files import writable_folder
from bwv_device.formats.certificates import SOFTWARE
from bwv_device.formats.software_offer import OfferError, release_numbers
from bwv_device.formats.statement import chain_of, role_of

COMPATIBLE = "bwv-device"
MANIFEST = """[update]
compatible={compatible}
version={release}

[bundle]
format=verity

[image.system]
filename=slot.img
"""
# What a camera demands (image/files/etc/rauc/system.conf).
CONFIGURATION = """[system]
compatible={compatible}
bootloader=noop
bundle-formats=verity

[keyring]
path={root}
check-purpose=codesign
"""


def make_bundle(slot: Path, key: Path, root: Path, out: Path) -> str:
    """A bundle with this slot, signed with a role key `software`; read again before it gets its
    name. Returns its release. Raises `BwvError`."""
    pem = _certificates(key)
    if out.exists():
        raise CustodyError(f"{out} is there already.", "Name another file, or move it away.")
    release = _release_in(slot)
    writable_folder(out.parent)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".bundle-") as name:
        folder = Path(name)
        content = folder / "content"
        content.mkdir()
        _link(slot, content / "slot.img")
        manifest = MANIFEST.format(compatible=COMPATIBLE, release=release)
        (content / "manifest.raucm").write_text(manifest)
        own, issuer = folder / "own.pem", folder / "issuer.pem"
        own.write_text(pem[0])
        issuer.write_text(pem[1])
        part = folder / "bundle"
        _tool("mksquashfs")  # rauc's, which Debian does not install with it
        _run(
            "rauc",
            "bundle",
            f"--cert={own}",
            f"--key={key}",
            f"--intermediate={issuer}",
            content,
            part,
        )
        read_bundle(part, root)
        os.replace(part, out)
    return release


def read_bundle(bundle: Path, root: Path) -> str:
    """The release of a bundle that a camera with this root would install. Raises `BwvError`."""
    with tempfile.TemporaryDirectory() as name:
        conf = Path(name) / "system.conf"
        conf.write_text(CONFIGURATION.format(compatible=COMPATIBLE, root=root.absolute()))
        said = json.loads(_run("rauc", "info", f"--conf={conf}", "--output-format=json", bundle))
    if said.get("compatible") != COMPATIBLE:
        raise CustodyError(f"{bundle} is for {said.get('compatible')!r}.", "Make one for a camera.")
    return str(said.get("version"))


def _certificates(key: Path) -> list[str]:
    """The certificate of a role key, and its issuer's."""
    try:
        text = key.read_text()
        begin = "-----BEGIN CERTIFICATE-----"
        parts = [begin + part for part in text.split(begin)[1:]]
        role = role_of(chain_of("".join(parts).encode())).role
    except (OSError, ValueError) as error:
        raise KeyFileError(f"The role key {key} can't be used: {error}.", "") from None
    if role != SOFTWARE:
        raise KeyFileError(
            f"{key} is a key of the role {role!r}.", "Use one of the role 'software'."
        )
    return parts


def _link(file: Path, to: Path) -> None:
    try:
        os.link(file, to)
    except OSError:
        shutil.copyfile(file, to)


def _release_in(slot: Path) -> str:
    """What the slot says that it is."""
    try:
        said = _run("mtype", "-i", slot, "::release").strip()
        release_numbers(said)
    except (CustodyError, OfferError) as error:
        why = getattr(error, "message", error)
        raise CustodyError(f"{slot} is no slot: {why}", "Give what 'make image' made.") from None
    return said


def _tool(name: str) -> str:
    tool = shutil.which(name)
    if tool is None:
        remedy = "apt install rauc mtools squashfs-tools"
        raise MissingPartError(f"The tool '{name}' is not installed.", remedy)
    return tool


def _run(name: str, *words: object) -> str:
    done = subprocess.run(  # noqa: S603 - an installed tool, found by its name
        [_tool(name), *map(str, words)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        last = said[-1] if said else done.returncode
        raise CustodyError(f"{name}: {last}.", "Look at the bundle and the key.")
    return done.stdout
