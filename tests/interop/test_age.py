"""Independent age implementations open what we seal; the public vectors judge how we read."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import zlib
from pathlib import Path

import pyrage
import pytest

from bwv_device.errors import KeyFileError, SealedFileError
from bwv_device.formats import age
from bwv_device.formats.age_passphrase import ArmorError, PassphraseIdentity, without_armor
from bwv_device.formats.age_payload import CHUNK, Opener, Seal
from hal.host import HostEntropy

HERE = Path(__file__).parent
LENGTHS = (1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 200_000)


class Sealed:
    """A file sealed by us to a fresh identity, with the identity beside it."""

    def __init__(self, folder: Path, kind: str, length: int) -> None:
        identity = age.generate_identity(kind, HostEntropy())
        self.plain = os.urandom(length)
        seal = Seal([identity.recipient()], HostEntropy())
        data = seal.header + seal.nonce + b"".join(seal.feed(self.plain)) + seal.finish()
        self.path, self.identity = folder / "sealed.age", folder / "identity.txt"
        self.path.write_bytes(data)
        self.identity.write_text(f"# for a test\n{identity}\n")
        self.line = str(identity)


@pytest.mark.parametrize("length", LENGTHS)
def test_debian_age_opens_the_classic_profile(length: int, tmp_path: Path) -> None:
    sealed = Sealed(tmp_path, "X25519", length)
    done = subprocess.run(
        ["age", "-d", "-i", sealed.identity, sealed.path], capture_output=True, check=True
    )
    assert done.stdout == sealed.plain


@pytest.mark.parametrize("length", LENGTHS)
def test_pyrage_opens_the_classic_profile(length: int, tmp_path: Path) -> None:
    sealed = Sealed(tmp_path, "X25519", length)
    identity = pyrage.x25519.Identity.from_str(sealed.line)
    assert pyrage.decrypt(sealed.path.read_bytes(), [identity]) == sealed.plain


@pytest.mark.parametrize("kind", ["X25519", "mlkem768x25519"])
@pytest.mark.parametrize("length", [1, CHUNK, 200_000])
def test_go_age_opens_both_profiles(length: int, kind: str, tmp_path: Path, tools: Path) -> None:
    sealed = Sealed(tmp_path, kind, length)
    done = subprocess.run(
        [tools / "bin" / "age", "-d", "-i", sealed.identity, sealed.path],
        capture_output=True,
        check=True,
    )
    assert done.stdout == sealed.plain


@pytest.mark.parametrize("kind", ["X25519", "mlkem768x25519"])
def test_npm_age_opens_both_profiles(kind: str, tmp_path: Path, tools: Path) -> None:
    sealed = Sealed(tmp_path, kind, 150_000)
    out = tmp_path / "out"
    script = HERE / "decrypt.mjs"
    subprocess.run(["node", script, sealed.identity, sealed.path, out], check=True)
    assert out.read_bytes() == sealed.plain


@pytest.mark.parametrize("kind", ["X25519", "mlkem768x25519"])
def test_a_grant_in_front_of_the_old_payload_opens_everywhere(
    kind: str, tmp_path: Path, tools: Path
) -> None:
    """The key desk's new header for one person, and the payload as the camera sealed it."""
    sealed = Sealed(tmp_path, kind, 200_000)
    data, viewer = sealed.path.read_bytes(), age.X25519Identity(os.urandom(32))
    header = age.parse_header(data[: age.HEADER_LIMIT])
    key = age.open_file_key(header, [age.parse_identity(sealed.line)])
    granted = age.write_header(key, [viewer.recipient()], HostEntropy())
    sealed.path.write_bytes(granted + data[len(header.raw) :])
    sealed.identity.write_text(f"# of a person\n{viewer}\n")
    for command in ("age", tools / "bin" / "age"):
        done = subprocess.run(
            [command, "-d", "-i", sealed.identity, sealed.path], capture_output=True, check=True
        )
        assert done.stdout == sealed.plain
    ours = [pyrage.x25519.Identity.from_str(str(viewer))]
    assert pyrage.decrypt(sealed.path.read_bytes(), ours) == sealed.plain
    out = tmp_path / "out"
    subprocess.run(["node", HERE / "decrypt.mjs", sealed.identity, sealed.path, out], check=True)
    assert out.read_bytes() == sealed.plain


@pytest.mark.parametrize("kind", ["X25519", "mlkem768x25519"])
def test_we_open_what_go_age_seals(kind: str, tmp_path: Path, tools: Path) -> None:
    identity = age.generate_identity(kind, HostEntropy())
    plain = os.urandom(150_000)
    done = subprocess.run(
        [tools / "bin" / "age", "-r", str(identity.recipient())],
        input=plain,
        capture_output=True,
        check=True,
    )
    assert b"".join(Opener(io.BytesIO(done.stdout), [identity]).chunks()) == plain


def test_a_cut_file_gives_its_whole_chunks_to_us_and_to_age(tmp_path: Path) -> None:
    sealed = Sealed(tmp_path, "X25519", 5 * CHUNK + 100)
    cut = sealed.path.read_bytes()[: -CHUNK // 2 - 200]
    sealed.path.write_bytes(cut)
    done = subprocess.run(
        ["age", "-d", "-i", sealed.identity, sealed.path], capture_output=True, check=False
    )
    identity = age.parse_identity(sealed.line)
    ours = b"".join(Opener(io.BytesIO(cut), [identity]).whole_chunks())
    assert done.returncode != 0, "age says loudly that the end is missing"
    assert ours == sealed.plain[: 4 * CHUNK]
    assert done.stdout == ours


# --- C2SP test vectors -------------------------------------------------------------------------


class Vector:
    """One file of C2SP/CCTV: what is expected, the identities, the age file."""

    def __init__(self, path: Path) -> None:
        head, _, body = path.read_bytes().partition(b"\n\n")
        pairs = [line.split(": ", 1) for line in head.decode().splitlines()]
        self.keys = {key for key, _ in pairs}
        self.values = dict(pairs)
        self.identities = [value for key, value in pairs if key == "identity"]
        self.data = zlib.decompress(body) if self.values.get("compressed") == "zlib" else body

    @property
    def ours(self) -> bool:
        """Public-key recipients, binary: what a camera and its agency use."""
        return not {"passphrase", "armored"} & self.keys and bool(self.identities)

    @property
    def of_secrets(self) -> bool:
        """Passphrases and armor: how an agency keeps its secrets."""
        return bool({"passphrase", "armored"} & self.keys)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory, tools: Path) -> dict[str, Vector]:
    folder = tmp_path_factory.mktemp("cctv")
    subprocess.run(["node", HERE / "dump_vectors.mjs", folder], check=True)
    return {path.name: Vector(path) for path in sorted(folder.iterdir())}


def verdict(vector: Vector) -> tuple[str, str]:
    """What reading a vector comes to, and the SHA-256 of the plaintext it released."""
    released = hashlib.sha256()
    try:
        identities: list[age.Identity] = [age.parse_identity(n) for n in vector.identities]
        if "passphrase" in vector.keys:
            identities.append(PassphraseIdentity(vector.values["passphrase"].encode()))
        data = vector.data
        if "armored" in vector.keys:
            data = without_armor(data, expected=True)
        opener = Opener(io.BytesIO(data), identities)
    except age.NoMatchError:
        return "no match", released.hexdigest()
    except age.HeaderMacError:
        return "HMAC failure", released.hexdigest()
    except ArmorError:
        return "armor failure", released.hexdigest()
    except (SealedFileError, KeyFileError):
        return "header failure", released.hexdigest()
    try:
        for chunk in opener.chunks():
            released.update(chunk)
    except SealedFileError:
        return "payload failure", released.hexdigest()
    return "success", released.hexdigest()


def test_the_public_vectors_give_the_expected_verdicts(vectors: dict[str, Vector]) -> None:
    ours = {name: vector for name, vector in vectors.items() if vector.ours}
    assert len(ours) >= 80
    assert wrong_verdicts(ours) == {}


def test_the_vectors_of_passphrases_and_armor_give_the_expected_verdicts(
    vectors: dict[str, Vector],
) -> None:
    ours = {name: vector for name, vector in vectors.items() if vector.of_secrets}
    assert len(ours) >= 30
    assert wrong_verdicts(ours) == {}


def wrong_verdicts(ours: dict[str, Vector]) -> dict[str, str]:
    wrong = {}
    for name, vector in ours.items():
        said, digest = verdict(vector)
        expected = vector.values["expect"]
        if said != expected:
            wrong[name] = f"{said}, not {expected}: {vector.values.get('comment')}"
        elif "payload" in vector.keys and digest != vector.values["payload"]:
            wrong[name] = "another plaintext"
    return wrong
