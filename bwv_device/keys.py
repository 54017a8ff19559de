"""The agency's keys and the camera's certificate: making them, reading them, checking chains.

Who holds which key: docs/keys.md.
"""

from __future__ import annotations

import datetime
import hashlib
import io
import ipaddress
import os
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bwv_device.errors import CertificateError, KeyFileError, SealedFileError
from bwv_device.files import read_small, writable_folder
from bwv_device.formats import age, signature
from bwv_device.formats.age_passphrase import (
    PassphraseIdentity,
    PassphraseRecipient,
    armored,
    without_armor,
)
from bwv_device.formats.age_payload import Opener, Seal
from bwv_device.formats.certificates import (
    DEVICES_UNIT,
    DISCLOSURE,
    ROLES,
    ROLES_UNIT,
    SOFTWARE,
    UNREADABLE_CERTIFICATE,
    VIEWING_UNIT,
)
from bwv_device.formats.enrolment_request import EnrolmentRequest
from hal.ports import Entropy

ROOT_KEY, ROOT = "agency-root-key.pem", "agency-root.pem"
CA_KEY, CA = "device-ca-key.pem", "device-ca.pem"
IDENTITY, RECIPIENTS = "agency-identity.txt", "agency-recipients.txt"
DEVICE_KEY, DEVICE = "device-key.pem", "device.pem"
BROKER_KEY, BROKER = "broker-key.pem", "broker.pem"
ROLES_CA_KEY, ROLES_CA = "roles-ca-key.pem", "roles-ca.pem"
AGENCY_SECRETS = (ROOT_KEY, CA_KEY, ROLES_CA_KEY, IDENTITY)


VIEWING_REMEDY = "Make one with 'bwv custody enrol --role viewing'."

# X.520, ub-common-name.
NAME_LIMIT = 64
YEAR = datetime.timedelta(days=365)
# What is signed with a camera's key must be judged for as long as a court may ask; other tools
# judge a certificate by today's date (docs/keys.md).
ROOT_LIFE, CA_LIFE, DEVICE_LIFE, ROLE_LIFE = 30 * YEAR, 25 * YEAR, 20 * YEAR, 2 * YEAR
# Extended key usages. One profile for what signs in films and in manifests (C2PA 2, 14.5; a TLS
# client as well); one for who signs software.
SIGNS_MEDIA = (ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.CLIENT_AUTH)
ROLE_USAGES = {
    SOFTWARE: (ExtendedKeyUsageOID.CODE_SIGNING,),
    DISCLOSURE: SIGNS_MEDIA,
}


# Asks for the passphrase of the file that is named.
Ask = Callable[[str], bytes]


def nobody(where: str) -> bytes:
    """Where there is nobody to ask. Raises `KeyFileError`."""
    raise KeyFileError(f"{where} is encrypted with a passphrase.", "Give one that is not.")


class OtherRecipientError(KeyFileError):
    """An identity's file that no passphrase opens."""


PublicKey = ec.EllipticCurvePublicKey | x25519.X25519PublicKey


class Issuer(NamedTuple):
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


# --- making ----------------------------------------------------------------------------------


def make_agency(
    folder: Path,
    agency: str,
    recipient_type: str,
    entropy: Entropy,
    now: datetime.datetime,
    passphrase: bytes = b"",
) -> None:
    """Root, device CA and recipient identity. Refuses to touch files that are there."""
    files = agency_files(agency, recipient_type, entropy, now)
    if passphrase:
        files |= {name: locked(files[name], passphrase, entropy) for name in AGENCY_SECRETS}
    _write_all(folder, files)


def locked(secret: bytes, passphrase: bytes, entropy: Entropy) -> bytes:
    """A secret's file, encrypted for age: its scrypt is dear to guess at; PKCS #8, as libraries
    write it, is a thousand times cheaper."""
    seal = Seal([PassphraseRecipient(passphrase)], entropy)
    return armored(b"".join([seal.header, seal.nonce, *seal.feed(secret), seal.finish()]))


def make_device(
    agency: Path,
    folder: Path,
    device: str,
    entropy: Entropy,
    now: datetime.datetime,
    ask: Ask = nobody,
) -> None:
    """A camera's key, certified by the device CA in `agency`."""
    files = {CA_KEY: _read(agency / CA_KEY), CA: _read(agency / CA)}
    _write_all(folder, device_files(files, device, entropy, now, ask))


def agency_files(
    agency: str, recipient_type: str, entropy: Entropy, now: datetime.datetime
) -> dict[str, bytes]:
    """An agency's key files by name."""
    root_key = signature.private_key(entropy.token(48))
    root = _certificate(f"{agency} root", root_key, None, now, ROOT_LIFE, 1, entropy)
    ca_key = signature.private_key(entropy.token(48))
    issuer = Issuer(root_key, root)
    ca = _certificate(
        f"{agency} device CA", ca_key, issuer, now, CA_LIFE, 0, entropy, unit=DEVICES_UNIT
    )
    identity = age.generate_identity(recipient_type, entropy)
    recipient = f"{identity.recipient()}\n"
    roles_key = signature.private_key(entropy.token(48))
    roles = _certificate(
        f"{agency} roles CA", roles_key, issuer, now, CA_LIFE, 0, entropy, unit=ROLES_UNIT
    )
    return {
        ROOT_KEY: private_pem(root_key),
        CA_KEY: private_pem(ca_key),
        ROLES_CA_KEY: private_pem(roles_key),
        ROLES_CA: roles.public_bytes(Encoding.PEM),
        IDENTITY: f"# public key: {recipient}{identity}\n".encode(),
        ROOT: root.public_bytes(Encoding.PEM),
        CA: ca.public_bytes(Encoding.PEM),
        RECIPIENTS: recipient.encode(),
    }


def device_files(
    agency: Mapping[str, bytes],
    device: str,
    entropy: Entropy,
    now: datetime.datetime,
    ask: Ask = nobody,
) -> dict[str, bytes]:
    """A camera's key files by name, from its agency's."""
    key = signature.private_key(entropy.token(48))
    certificate = certify_device(agency, device, key.public_key(), entropy, now, ask)
    return {DEVICE_KEY: private_pem(key), DEVICE: certificate}


def certify_device(
    agency: Mapping[str, bytes],
    device: str,
    public: ec.EllipticCurvePublicKey,
    entropy: Entropy,
    now: datetime.datetime,
    ask: Ask = nobody,
) -> bytes:
    """A camera's certificate with its issuer, PEM. `agency` holds the device CA and its key."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", device):
        raise KeyFileError(
            f"Invalid camera name {device!r}.", "Use 1-64 letters, digits, dots and dashes."
        )
    issuer = Issuer(
        parse_private_key(agency[CA_KEY], CA_KEY, ask), parse_certificates(agency[CA], CA)[0]
    )
    certificate = _certificate(
        device, public, issuer, now, DEVICE_LIFE, None, entropy, usages=SIGNS_MEDIA
    )
    return certificate.public_bytes(Encoding.PEM) + agency[CA]


def make_role(
    agency: Path,
    folder: Path,
    name: str,
    role: str,
    entropy: Entropy,
    now: datetime.datetime,
    ask: Ask = nobody,
    person: str = "",
) -> Path:
    """A person's or service's role key, certified by the roles CA in `agency`. Returns the path of
    the file that holds both."""
    files = {ROLES_CA_KEY: _read(agency / ROLES_CA_KEY), ROLES_CA: _read(agency / ROLES_CA)}
    made = role_files(files, name, role, entropy, now, ask, person)
    _write_all(folder, made)
    return folder / next(iter(made))


def role_files(
    agency: Mapping[str, bytes],
    name: str,
    role: str,
    entropy: Entropy,
    now: datetime.datetime,
    ask: Ask = nobody,
    person: str = "",
) -> dict[str, bytes]:
    """One file `<name>.<role>-key.pem`: the private key, the certificate, its issuer's."""
    key = signature.private_key(entropy.token(48))
    chain = role_chain(agency, name, role, key.public_key(), entropy, now, ask, person)
    return {role_file_name(name, role): private_pem(key) + chain}


def make_viewing_key(
    agency: Path,
    folder: Path,
    name: str,
    entropy: Entropy,
    now: datetime.datetime,
    ask: Ask = nobody,
    person: str = "",
) -> Path:
    """A person's key to look with, certified by the roles CA. Returns its file."""
    files = {ROLES_CA_KEY: _read(agency / ROLES_CA_KEY), ROLES_CA: _read(agency / ROLES_CA)}
    made = viewing_files(files, name, entropy, now, ask, person)
    _write_all(folder, made)
    return folder / next(iter(made))


def viewing_files(
    agency: Mapping[str, bytes],
    name: str,
    entropy: Entropy,
    now: datetime.datetime,
    ask: Ask = nobody,
    person: str = "",
) -> dict[str, bytes]:
    """One file `<name>.viewing-key.txt`: an age identity with its certificate in comments
    (docs/format.md, 10.1)."""
    identity = age.X25519Identity(entropy.token(32))
    public = x25519.X25519PublicKey.from_public_bytes(identity.recipient().public)
    chain = _below_roles_ca(agency, name, VIEWING_UNIT, public, entropy, now, ask, person)
    comments = "".join(f"# {line}\n" for line in chain.decode("ascii").splitlines())
    text = f"# public key: {identity.recipient()}\n{comments}{identity}\n"
    return {f"{file_stem(_persons_name(name))}.{VIEWING_UNIT}-key.txt": text.encode()}


def certify_person(
    agency: Path,
    folder: Path,
    name: str,
    role: str,
    request: EnrolmentRequest,
    entropy: Entropy,
    now: datetime.datetime,
    ask: Ask = nobody,
    person: str = "",
) -> Path:
    """Certificates for the two keys that a person's browser made; no private key travels. Returns
    the file: the role's certificate, the viewing key's, each with its issuer's."""
    files = {ROLES_CA_KEY: _read(agency / ROLES_CA_KEY), ROLES_CA: _read(agency / ROLES_CA)}
    given = (entropy, now, ask, person)
    signing = role_chain(files, name, role, request.signing, *given)
    viewing = _below_roles_ca(files, name, VIEWING_UNIT, request.viewing, *given)
    file = f"{file_stem(_persons_name(name))}.{role}-{request.digest[:8]}-certificates.pem"
    _write_all(folder, {file: signing + viewing})
    return folder / file


def load_viewing_key(path: Path) -> tuple[age.X25519Identity, bytes]:
    """The key, and its certificates (PEM). Raises `KeyFileError`."""
    try:
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"{path} can be read by others than its owner.", f"chmod 600 {path}")
    except OSError as error:
        raise KeyFileError(f"{path} can't be read: {error.strerror}.", VIEWING_REMEDY) from None
    content = _read(path)
    identities = parse_identities(content, str(path))
    if len(identities) != 1 or not isinstance(identities[0], age.X25519Identity):
        raise KeyFileError(f"{path} is not one viewing key.", VIEWING_REMEDY)
    pem, inside = b"", False
    for line in content.splitlines():
        inside = inside or line.startswith(b"# -----BEGIN")
        if inside and line.startswith(b"# "):
            pem += line[2:] + b"\n"
        inside = inside and not line.startswith(b"# -----END")
    if not pem:
        raise KeyFileError(f"{path} holds no certificate.", VIEWING_REMEDY)
    return identities[0], pem


def make_token_role(
    agency: Path,
    folder: Path,
    name: str,
    role: str,
    key: tuple[bytes, Callable[[], ec.EllipticCurvePublicKey]],
    entropy: Entropy,
    now: datetime.datetime,
    ask: Ask = nobody,
    person: str = "",
) -> Path:
    """The same for a key in a token: what names it in a file, and what makes it there. Nothing is
    made in the token before it is known that it can be certified and written down."""
    files = {ROLES_CA_KEY: _read(agency / ROLES_CA_KEY), ROLES_CA: _read(agency / ROLES_CA)}
    opened = parse_private_key(files[ROLES_CA_KEY], ROLES_CA_KEY, ask)
    files[ROLES_CA_KEY] = private_pem(opened)
    parse_certificates(files[ROLES_CA], ROLES_CA)
    path = folder / role_file_name(name, role)
    if path.exists():
        raise KeyFileError(f"{path} is there already; a key is never overwritten.", "Move it away.")
    writable_folder(folder)
    named, make = key
    chain = role_chain(files, name, role, make(), entropy, now, person=person)
    _write_all(folder, {path.name: named + chain})
    return path


def role_file_name(name: str, role: str) -> str:
    return f"{file_stem(_persons_name(name))}.{role}-key.pem"


def role_chain(
    agency: Mapping[str, bytes],
    name: str,
    role: str,
    key: ec.EllipticCurvePublicKey,
    entropy: Entropy,
    now: datetime.datetime,
    ask: Ask = nobody,
    person: str = "",
) -> bytes:
    """A role's certificate and its issuer's. `person` is the identifier of whoever holds it: two
    persons are two identifiers, however their names are written; the name itself where none is
    given."""
    if role not in ROLES:
        raise KeyFileError(f"Unknown role {role!r}.", f"Choose one of {', '.join(ROLES)}.")
    return _below_roles_ca(agency, name, role, key, entropy, now, ask, person)


def _below_roles_ca(
    agency: Mapping[str, bytes],
    name: str,
    unit: str,
    key: PublicKey,
    entropy: Entropy,
    now: datetime.datetime,
    ask: Ask,
    person: str,
) -> bytes:
    name = _persons_name(name)
    issuer = Issuer(
        parse_private_key(agency[ROLES_CA_KEY], ROLES_CA_KEY, ask),
        parse_certificates(agency[ROLES_CA], ROLES_CA)[0],
    )
    certificate = _certificate(
        name, key, issuer, now, ROLE_LIFE, None, entropy, unit=unit,
        person=same_person(person or name), usages=ROLE_USAGES.get(unit, ()),
    )  # fmt: skip
    return certificate.public_bytes(Encoding.PEM) + agency[ROLES_CA]


def _persons_name(name: str) -> str:
    """A name as people write it, in one Unicode form. It is data; no file is named by it."""
    name = unicodedata.normalize("NFC", name).strip()
    allowed = all(c in " '.,_@-" or unicodedata.category(c)[0] in "LMN" for c in name)
    if not allowed or not 1 <= len(name) <= NAME_LIMIT:
        raise KeyFileError(
            f"Invalid name {name!r}.",
            "Use 1-64 letters of any script, digits, spaces, ' . , _ @ -.",
        )
    return name


def same_person(name: str) -> str:
    """One identifier for all spellings of a name: whoever enrols somebody twice makes no second
    person."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def file_stem(name: str) -> str:
    """A file name for a person: ASCII letters where there are any. Another name never gives the
    same one: what was left out is told apart by a digest."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9._@-]+", "-", plain).strip("-.")
    if stem == name.replace(" ", "-"):
        return stem
    return "-".join(filter(None, (stem, hashlib.sha256(name.encode()).hexdigest()[:8])))


def make_broker(
    agency: Path,
    folder: Path,
    hosts: Sequence[str],
    entropy: Entropy,
    now: datetime.datetime,
    ask: Ask = nobody,
) -> None:
    """The MQTT broker's TLS key, certified for host names and addresses."""
    files = {ROLES_CA_KEY: _read(agency / ROLES_CA_KEY), ROLES_CA: _read(agency / ROLES_CA)}
    _write_all(folder, broker_files(files, hosts, entropy, now, ask))


def broker_files(
    agency: Mapping[str, bytes],
    hosts: Sequence[str],
    entropy: Entropy,
    now: datetime.datetime,
    ask: Ask = nobody,
) -> dict[str, bytes]:
    """A broker's key files by name. Cameras know it by the agency's root."""
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            if not re.fullmatch(r"[A-Za-z0-9.-]{1,253}", host):
                raise KeyFileError(
                    f"Invalid host name {host!r}.", "Give a DNS name or an IP address."
                ) from None
            names.append(x509.DNSName(host))
    if not names:
        raise KeyFileError("A broker needs a host name.", "Give one with --host.")
    issuer = Issuer(
        parse_private_key(agency[ROLES_CA_KEY], ROLES_CA_KEY, ask),
        parse_certificates(agency[ROLES_CA], ROLES_CA)[0],
    )
    key = signature.private_key(entropy.token(48))
    certificate = _certificate(
        hosts[0],
        key,
        issuer,
        now,
        ROLE_LIFE,
        None,
        entropy,
        unit="broker",
        hosts=names,
        usages=(ExtendedKeyUsageOID.SERVER_AUTH,),
    )
    pem = certificate.public_bytes(Encoding.PEM) + agency[ROLES_CA]
    return {BROKER_KEY: private_pem(key), BROKER: pem}


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey | PublicKey,
    issuer: Issuer | None,
    now: datetime.datetime,
    lifetime: datetime.timedelta,
    path_length: int | None,
    entropy: Entropy,
    unit: str = "",
    hosts: Sequence[x509.GeneralName] = (),
    person: str = "",
    usages: Sequence[x509.ObjectIdentifier] = (),
) -> x509.Certificate:
    """`path_length` None makes an end entity; else a CA that may have so many CAs below it."""
    public = key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey) else key
    signer = issuer.key if issuer else key
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError("who has no issuer signs itself")
    names = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if unit:
        names.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    if person:
        names.append(x509.NameAttribute(NameOID.USER_ID, person))
    subject = x509.Name(names)
    is_ca = path_length is not None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(public)
        .serial_number(int.from_bytes(entropy.token(16), "big") >> 1 | 1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(is_ca, path_length), critical=True)
        .add_extension(_key_usage(is_ca, public), critical=True)
        # RFC 5280, 4.2.1.1 and 4.2.1.2; newer Pythons insist on both.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    return builder.sign(signer, SHA256(), ecdsa_deterministic=True)


def _key_usage(is_ca: bool, key: PublicKey) -> x509.KeyUsage:
    signs = isinstance(key, ec.EllipticCurvePublicKey)
    return x509.KeyUsage(
        digital_signature=signs and not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not signs,
        encipher_only=False,
        decipher_only=False,
    )


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS #8, in clear."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_all(folder: Path, files: dict[str, bytes]) -> None:
    existing = [name for name in files if (folder / name).exists()]
    if existing:
        raise KeyFileError(
            f"{folder} holds {', '.join(existing)} already; a key is never overwritten.",
            "Name another folder, or move the old keys away yourself.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        private = name.endswith(("key.pem", "key.txt")) or name == IDENTITY
        _write_new(folder / name, content, private=private)


def write_secret(path: Path, content: bytes) -> None:
    """For its owner alone, and never over another file. Raises `KeyFileError` and `OutputError`."""
    if path.exists():
        raise KeyFileError(f"{path} is there already.", "Name a new file.")
    writable_folder(path.parent)
    _write_new(path, content, private=True)


def _write_new(path: Path, content: bytes, *, private: bool) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        if not private:  # whatever the umask: certificates are for everybody
            os.fchmod(file.fileno(), 0o644)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


# --- reading ---------------------------------------------------------------------------------


def parse_private_key(pem: bytes, where: str, ask: Ask = nobody) -> ec.EllipticCurvePrivateKey:
    """Raises `KeyFileError`, also for a wrong passphrase."""
    try:
        key = load_pem_private_key(_unlocked(pem, where, ask), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileError(
            f"{where} is not a private key.", "Give a PEM file, in clear or encrypted with age."
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise KeyFileError(f"{where} is not a P-256 key.", "Make keys with 'bwv keygen'.")
    return key


def load_certificates(path: Path) -> list[x509.Certificate]:
    return parse_certificates(_read(path), str(path))


def parse_certificates(pem: bytes, where: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except UNREADABLE_CERTIFICATE:
        raise CertificateError(
            f"{where} has no readable certificate.", "Give a PEM file."
        ) from None


def load_recipients(path: Path) -> list[age.X25519Recipient | age.HybridRecipient]:
    return parse_recipients(_read(path), str(path))


def load_identities(path: Path, ask: Ask = nobody) -> list[age.X25519Identity | age.HybridIdentity]:
    """From a file, or from one that a passphrase opens, whoever made it. Nothing is written in
    clear. Raises `KeyFileError`."""
    return parse_identities(_unlocked(_read(path), str(path), ask), str(path))


def _unlocked(content: bytes, where: str, ask: Ask) -> bytes:
    try:
        sealed = without_armor(content)
        if not sealed.startswith(age.VERSION_LINE):
            return content
        if age.parse_header(sealed[: age.HEADER_LIMIT]).stanzas[0].arguments[0] != "scrypt":
            raise OtherRecipientError(f"{where} is encrypted to a key.", "Decrypt it with age.")
        opener = Opener(io.BytesIO(sealed), [PassphraseIdentity(ask(where))])
        return b"".join(opener.chunks())
    except age.NoMatchError:
        raise KeyFileError(f"The passphrase does not open {where}.", "Try again.") from None
    except SealedFileError as error:
        raise KeyFileError(f"{where} can't be opened: {error}", "Give the right file.") from None


def parse_recipients(content: bytes, where: str) -> list[age.X25519Recipient | age.HybridRecipient]:
    """Every recipient of a file in age's format: one a line, # for comments."""
    recipients = [age.parse_recipient(line) for line in _key_lines(content, where)]
    if not recipients:
        raise KeyFileError(f"{where} has no recipient.", "Make one with 'bwv keygen'.")
    if len({recipient.kind for recipient in recipients}) > 1:
        raise KeyFileError(f"{where} mixes recipient types.", "Keep to one type.")
    return recipients


def parse_identities(content: bytes, where: str) -> list[age.X25519Identity | age.HybridIdentity]:
    """Every identity of a file in age's format."""
    identities = [age.parse_identity(line) for line in _key_lines(content, where)]
    if not identities:
        raise KeyFileError(f"{where} has no identity.", "Give agency-identity.txt.")
    return identities


def _key_lines(content: bytes, where: str) -> list[str]:
    try:
        lines = content.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise KeyFileError(
            f"{where} is not a text file with age keys.", "Give the right file."
        ) from None
    return [line for line in lines if line and not line.startswith("#")]


def _read(path: Path) -> bytes:
    try:
        return read_small(path)
    except OSError as error:
        raise KeyFileError(
            f"{path} can't be read: {error.strerror}.", "Check the path and its permissions."
        ) from None


# --- checking --------------------------------------------------------------------------------
