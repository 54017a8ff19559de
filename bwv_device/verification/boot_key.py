"""Whether a camera's certificate certifies the key of a boot (docs/format.md, 3.3)."""

from __future__ import annotations

from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from bwv_device.formats import signature
from bwv_device.formats.certificates import UNREADABLE_CERTIFICATE
from bwv_device.formats.grammar.ledger_kinds import Boot
from bwv_device.formats.ledger_lines import Head, boot_statement
from bwv_device.formats.statement import StatementError, camera_of, chain_of

OTHER_DEVICE = "the device is not the one that the certificate names"
UNCERTIFIED = "the device key did not certify this boot key"


class BootKeyError(ValueError):
    """A boot line whose keys do not hold, in words."""


class BootKeys(NamedTuple):
    """The keys that a boot line names; its device key has certified nothing yet."""

    device: str
    chain: list[x509.Certificate]
    device_key: ec.EllipticCurvePublicKey
    boot_key: ec.EllipticCurvePublicKey


def read_keys(boot: int, said: Boot) -> BootKeys:
    """Of the first line in the file of `boot`. Raises `BootKeyError`."""
    try:
        chain = chain_of(said.certificate.encode())
        name = camera_of(chain)
        device_key = chain[0].public_key()
        boot_key = signature.public_key(bytes.fromhex(said.boot_key))
    except (StatementError, *UNREADABLE_CERTIFICATE) as error:
        raise BootKeyError(f"the boot line's keys do not hold: {error}") from None
    if said.boot != boot:
        raise BootKeyError(f"the boot counter is {said.boot}")
    if said.device != name:
        raise BootKeyError(OTHER_DEVICE)
    if not isinstance(device_key, ec.EllipticCurvePublicKey):
        raise BootKeyError(UNCERTIFIED)
    return BootKeys(name, chain, device_key, boot_key)


def require_certified(named: BootKeys, said: Boot, before: Head) -> None:
    """Raises `BootKeyError` unless the device key signed this boot key, for this place in the
    chain."""
    certified = bytes.fromhex(said.device_signature)
    statement = boot_statement(named.device, said.boot, said.boot_key, before)
    if not signature.verifies(named.device_key, certified, statement):
        raise BootKeyError(UNCERTIFIED)
