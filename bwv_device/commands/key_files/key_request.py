"""A camera makes its own key; only a request for its certificate leaves it (PKCS #10, RFC 2986),
and only public things come back. No private key ever travels.
"""

from __future__ import annotations

import datetime
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from bwv_device import keys
from bwv_device.errors import KeyFileError
from bwv_device.files import read_small, write_durably
from bwv_device.formats import signature
from bwv_device.formats.certificates import chain_leads_to
from bwv_device.formats.statement import StatementError, camera_of, chain_of
from hal.ports import Entropy

# What an answer holds: the agency's root, who may open footage, certificate with its issuer. Taken
# in this order: a camera that has its certificate is taken for one that has the rest.
ANSWER = (keys.ROOT, keys.RECIPIENTS, keys.DEVICE)
REQUEST_LIMIT = 16 << 10


def own_key(folder: Path, entropy: Entropy) -> ec.EllipticCurvePrivateKey:
    """The camera's key; made where there is none."""
    file = folder / keys.DEVICE_KEY
    if not file.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = signature.private_key(entropy.token(48))
        part = file.with_name(f"{file.name}.new")
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as out:
            out.write(keys.private_pem(key))
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)
    return keys.parse_private_key(read_small(file), str(file))


def fingerprint(public: ec.EllipticCurvePublicKey) -> str:
    """What both sides show, so that a person sees that nobody changed the request on its way."""
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:16]


def request(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PEM. The agency names the camera; the request only proves that the key is there."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, fingerprint(key.public_key()))])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(key, SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.PEM)


def requested_key(pem: bytes, where: str) -> ec.EllipticCurvePublicKey:
    """Raises `KeyFileError` unless the request is whole and signed by the key that it names."""
    remedy = "Fetch the camera's request again."
    try:
        asked = x509.load_pem_x509_csr(pem[:REQUEST_LIMIT])
        public = asked.public_key()
        whole = asked.is_signature_valid
    except (ValueError, TypeError) as error:
        raise KeyFileError(f"{where} is no certificate request: {error}.", remedy) from None
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
        raise KeyFileError(f"{where} asks for a key of another kind than P-256.", remedy)
    if not whole:
        raise KeyFileError(f"{where} was changed: its signature does not hold.", remedy)
    return public


def answer(
    agency: Mapping[str, bytes],
    pem: bytes,
    where: str,
    device: str,
    entropy: Entropy,
    now: datetime.datetime,
    ask: keys.Ask = keys.nobody,
) -> dict[str, bytes]:
    """Files by name. `agency` are its files by name: device CA with its key, root, recipients."""
    public = requested_key(pem, where)
    certificate = keys.certify_device(agency, device, public, entropy, now, ask)
    return {
        keys.DEVICE: certificate,
        keys.ROOT: agency[keys.ROOT],
        keys.RECIPIENTS: agency[keys.RECIPIENTS],
    }


def take(files: Mapping[str, bytes], folder: Path, key: ec.EllipticCurvePrivateKey) -> str:
    """Puts an answer beside the camera's key; returns the camera's name. Raises `KeyFileError`
    where it is for another key, or of another agency than this camera belongs to already."""
    missing = [name for name in ANSWER if name not in files]
    if missing:
        raise KeyFileError(f"The answer lacks {', '.join(missing)}.", "Fetch it again.")
    root = keys.parse_certificates(files[keys.ROOT], keys.ROOT)[0]
    keys.parse_recipients(files[keys.RECIPIENTS], keys.RECIPIENTS)
    try:
        chain = chain_of(files[keys.DEVICE])
        name = camera_of(chain)
    except StatementError as error:
        raise KeyFileError(f"The certificate can't be used: {error}.", "Fetch it again.") from None
    if chain[0].public_key() != key.public_key():
        raise KeyFileError("The certificate is for another camera's key.", "Take its own.")
    if not chain_leads_to(chain, root):
        raise KeyFileError(
            "The certificate does not lead to the root beside it.", "Fetch it again."
        )
    kept = folder / keys.ROOT
    if kept.exists() and read_small(kept) != files[keys.ROOT]:
        raise KeyFileError(
            "The answer is of another agency than this camera belongs to.",
            f"Where that is meant: move {folder} away, and let the camera ask anew.",
        )
    for item in ANSWER:
        write_durably(folder / item, files[item])
    return name
