"""Role keys in a token: SoftHSM2 holds them, pkcs11-tool and openssl judge what was made."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bwv_device import keys
from bwv_device.commands.key_files.identities import load_identities
from bwv_device.commands.key_files.role_key import load_role_key
from bwv_device.errors import KeyFileError, SealedFileError
from bwv_device.formats import pkcs11_uri, statement
from bwv_device.formats.age import decode_base64, encode_base64
from bwv_device.formats.age_tag import INFO, SUITE, TagIdentity, TagRecipient
from bwv_device.formats.pkcs11_uri import TokenUri
from hal.simulated.power_dock_and_place import SeededEntropy
from hal.stores.directory import DirectoryStore
from sim.world.custody_workers import founded

BWV = Path(sys.executable).with_name("bwv")
PIN, TOKEN = "open sesame", "agency keys"


def softhsm_module() -> str:
    found = [p for p in Path("/usr/lib").rglob("libsofthsm2.so") if p.exists()]
    if not found:
        pytest.fail("SoftHSM2 is missing: run 'sh scripts/install-tools' first")
    return str(found[0])


class Site:
    """An agency, and a token with a PIN."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.module = folder, softhsm_module()
        (folder / "tokens").mkdir()
        configuration = folder / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\n")
        self.env = {**os.environ, "SOFTHSM2_CONF": str(configuration)}
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", TOKEN, "--pin", PIN,
             "--so-pin", "the officer's"],
            env=self.env, check=True, capture_output=True,
        )  # fmt: skip
        self.pin = folder / "pin"
        self.pin.write_text(PIN + "\n")
        self.pin.chmod(0o600)
        assert self.bwv("keygen", "agency").returncode == 0
        (folder / "evidence").mkdir()
        self.enrolled = self.bwv(*self.enrol("Ada Okafor", "ada"))

    def uri(self, label: str, **changed: str) -> str:
        said = {"token": TOKEN, "object": label, "module_path": self.module,
                "pin_source": str(self.pin), **changed}  # fmt: skip
        return str(TokenUri(**said))

    def enrol(self, name: str, label: str, **changed: str) -> list[str]:
        return ["custody", "enrol", name, "--role", "custodian", "--agency", "agency",
                "--token", self.uri(label, **changed)]  # fmt: skip

    def bwv(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BWV, *words], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def pkcs11_tool(self, *words: str) -> bytes:
        tool = ["pkcs11-tool", "--module", self.module, "--token-label", TOKEN, "--pin", PIN]
        done = subprocess.run([*tool, *words], env=self.env, check=True, capture_output=True)
        return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("token"))


ADA = "roles/Ada-Okafor.custodian-key.pem"


def test_the_key_is_made_in_the_token_and_stays_there(site: Site) -> None:
    assert site.enrolled.returncode == 0, site.enrolled.stderr
    assert b"PRIVATE KEY" not in (site.folder / ADA).read_bytes()
    assert (site.folder / ADA).stat().st_mode & 0o777 == 0o600
    said = site.pkcs11_tool("--login", "--list-objects").decode()
    private = said[said.index("Private Key Object") :]
    access = next(line for line in private.splitlines() if "Access" in line)
    assert "sensitive" in access
    assert "never extractable" in access
    assert "ada" in private


def test_the_certificate_is_for_the_tokens_key(site: Site) -> None:
    """As pkcs11-tool reads it out."""
    public = site.pkcs11_tool("--read-object", "--type", "pubkey", "--label", "ada")
    certificate = x509.load_pem_x509_certificates((site.folder / ADA).read_bytes())[0]
    theirs = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public == theirs


def test_what_it_signs_openssl_verifies(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTHSM2_CONF", site.env["SOFTHSM2_CONF"])
    identity = load_role_key(site.folder / ADA)
    message = b"a line of custody's ledger"
    (tmp_path / "message").write_bytes(message)
    (tmp_path / "signature").write_bytes(identity.sign(message))
    public = x509.load_pem_x509_certificates(identity.certificate_pem)[0].public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(pem)
    words = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature"]
    done = subprocess.run([*words, "message"], cwd=tmp_path, check=False, capture_output=True)
    assert done.stdout.strip() == b"Verified OK"
    roots = keys.load_certificates(site.folder / "agency" / keys.ROOT)
    who = statement.role_of(statement.chain_of(identity.certificate_pem), roots)
    assert (who.name, who.role) == ("Ada Okafor", "custodian")


def test_custody_acts_with_it(site: Site) -> None:
    now = "2026-03-01"
    words = ["request", "open", "--kind", "subject-access", "--received", now, "--incident",
             f"{now}T10:00", "--place", "Mare Street", "--description", "bus stop"]  # fmt: skip
    (site.folder / "letter.txt").write_text("Dear Sir or Madam")
    founded(DirectoryStore(site.folder / "evidence"))
    done = site.bwv("custody", "--as", ADA, *words, "--letter", "letter.txt")
    assert done.returncode == 0, done.stderr
    rows = json.loads(site.bwv("custody", "--as", ADA, "request", "list", "--json").stdout)
    assert [row["place"] for row in rows] == ["Mare Street"]


REFUSED = {
    "a wrong PIN": ({"pin_source": "wrong"}, 5, "the PIN is wrong"),
    "a PIN for everybody": ({"pin_source": "open"}, 5, "chmod 600"),
    "nobody to ask": ({"pin_source": ""}, 5, "nobody can be asked"),
    "another token": ({"token": "elsewhere"}, 5, "no token 'elsewhere'"),
    "no module": ({"module_path": "/nowhere.so"}, 5, "/nowhere.so"),
    "a name that is taken": ({"label": "ada"}, 5, "already"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_is_said_in_a_sentence(site: Site, name: str) -> None:
    changed, code, words = REFUSED[name]
    for file, mode in (("wrong", 0o600), ("open", 0o644)):
        (site.folder / file).write_text("not it")
        (site.folder / file).chmod(mode)
    done = site.bwv(*site.enrol("Mallory", **{"label": "mallory", **changed}))
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert not (site.folder / "roles" / "Mallory.custodian-key.pem").exists()
    listed = site.pkcs11_tool("--login", "--list-objects").decode()
    assert "mallory" not in listed


def test_a_token_that_was_swapped_is_refused(site: Site, tmp_path: Path) -> None:
    """Its key is not the certified one."""
    assert site.bwv(*site.enrol("Bob", "bob")).returncode == 0
    mine = (site.folder / ADA).read_bytes()
    theirs = pkcs11_uri.to_pem(TokenUri.parse(site.uri("bob")))
    swapped = tmp_path / "swapped.pem"
    swapped.write_bytes(theirs + mine[mine.index(b"-----BEGIN CERTIFICATE") :])
    swapped.chmod(0o600)
    done = site.bwv("custody", "--as", str(swapped), "request", "list")
    assert (done.returncode, "another key than the token's" in done.stderr) == (5, True)


def test_the_agencys_secret_can_be_wrapped_by_a_token(
    site: Site, monkeypatch: pytest.MonkeyPatch, tools: Path
) -> None:
    """By us, and by age; neither opens without that key of that token."""
    monkeypatch.setenv("SOFTHSM2_CONF", site.env["SOFTHSM2_CONF"])
    secret, uri = "agency/agency-identity.txt", site.uri("desk")
    done = site.bwv("keydesk", "wrap", secret, "--token", uri, "--make", "--out", "desk.age")
    assert done.returncode == 0, done.stderr
    assert (site.folder / "desk.age").stat().st_mode & 0o777 == 0o600
    (recipient,) = re.findall(r"age1tag1[a-z0-9]+", done.stdout)
    theirs = [tools / "bin/age", "-r", recipient, "-o", "by-age.age", secret]
    subprocess.run(theirs, cwd=site.folder, check=True, capture_output=True)
    clear = [str(one) for one in keys.load_identities(site.folder / secret)]
    for name in ("desk.age", "by-age.age"):
        assert [str(one) for one in load_identities(site.folder / name, uri)] == clear
    monkeypatch.setenv("BWV_IDENTITY_TOKEN", uri)
    assert [str(one) for one in load_identities(site.folder / "by-age.age")] == clear
    with pytest.raises(KeyFileError, match="wrapped by another key"):
        load_identities(site.folder / "desk.age", site.uri("ada"))
    with pytest.raises(KeyFileError, match="not exactly one key 'nobody'"):
        load_identities(site.folder / "desk.age", site.uri("nobody"))
    with pytest.raises(KeyFileError, match="names no key in a token"):
        load_identities(site.folder / "desk.age", "desk")
    again = site.bwv("keydesk", "wrap", secret, "--token", uri, "--out", "desk.age")
    assert (again.returncode, "is there already" in again.stderr) == (5, True)


def test_a_wrapped_secret_that_was_changed_does_not_open() -> None:
    """In its tag, its point, its body; and what another library wrote opens, and the other way."""
    key = ec.generate_private_key(ec.SECP256R1())

    def exchange(point: bytes) -> bytes:
        other = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        return key.exchange(ec.ECDH(), other)

    identity, recipient = TagIdentity(key.public_key(), exchange), TagRecipient(key.public_key())
    stanza = recipient.wrap(b"sixteen bytes ok", SeededEntropy("tag"))
    assert identity.unwrap(stanza) == b"sixteen bytes ok"
    share = decode_base64(stanza.arguments[2])
    assert SUITE.decrypt(share + stanza.body, key, info=INFO) == b"sixteen bytes ok"
    assert identity.unwrap(stanza._replace(body=bytes(32))) is None
    kind, tag, point = stanza.arguments
    assert (
        identity.unwrap(stanza._replace(arguments=(kind, encode_base64(bytes(4)), point))) is None
    )
    assert identity.unwrap(stanza._replace(arguments=("X25519", tag, point))) is None
    no_point = bytes([4]) + bytes(64)
    right = encode_base64(recipient.tag(no_point))
    for ill in ((kind, tag), (kind, tag, encode_base64(b"short")),
                (kind, right, encode_base64(no_point))):  # fmt: skip
        with pytest.raises(SealedFileError):
            identity.unwrap(stanza._replace(arguments=ill))


@pytest.mark.parametrize(
    "text",
    [
        "token=a;object=b?module-path=/x",
        "pkcs11:token=a?module-path=/x",
        "pkcs11:object=b;token=a",
        "pkcs11:token=a;object=b;serial=7?module-path=/x",
        "pkcs11:token=a;token=c;object=b?module-path=/x",
        "pkcs11:token=a;object=b;type=public?module-path=/x",
        "pkcs11:token=%ff;object=b?module-path=/x",
    ],
)
def test_a_uri_that_says_too_little_or_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any reason will do
        TokenUri.parse(text)


def test_a_file_that_names_a_token_is_read_back_and_its_mistakes_are_refused(
    tmp_path: Path,
) -> None:
    uri = TokenUri("Müller's; token", "key & more?", "/usr/lib/a b.so", "/run/pin")
    pem = pkcs11_uri.to_pem(uri)
    assert pkcs11_uri.from_pem(b"# mine\n" + pem) == uri
    assert pkcs11_uri.from_pem(b"nothing") is None
    der = pkcs11_uri._element(
        0x30, pkcs11_uri._element(0x1A, b"v2") + pkcs11_uri._element(0x0C, b"")
    )
    for ill in (der, der[:5], b"", b"\x30\x84\xff\xff\xff\xff"):
        body = base64.b64encode(ill).decode()
        path = tmp_path / "ill.pem"
        label = pkcs11_uri.LABEL
        path.write_text(f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
        path.chmod(0o600)
        with pytest.raises(KeyFileError, match="can't be used"):
            load_role_key(path)
