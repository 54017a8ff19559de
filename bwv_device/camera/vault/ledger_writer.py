"""Writes the lines of one boot: numbered, hash-linked, signed by the boot key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from bwv_device.formats import canonical_json, signature
from bwv_device.formats.grammar.ledger_kinds import FORMAT
from bwv_device.formats.ledger_lines import RESERVED, Head, boot_statement, ledger_path
from hal.ports import Anchor, Identity


class Ledger:
    """Writes lines of one boot. The boot key exists only here, in memory."""

    def __init__(self, identity: Identity, key_entropy: bytes, boot: int, head: Head) -> None:
        self._key: ec.EllipticCurvePrivateKey = signature.private_key(key_entropy)
        self.device, self.boot, self.head = identity.device, boot, head
        point = signature.public_bytes(self._key.public_key()).hex()
        statement = boot_statement(identity.device, boot, point, head)
        self._certified = {
            "boot_key": point,
            "device_signature": signature.from_der(identity.sign(statement)).hex(),
            "certificate": identity.certificate_pem.decode("ascii"),
        }

    @property
    def path(self) -> str:
        return ledger_path(self.boot)

    @property
    def anchor(self) -> Anchor:
        return Anchor(self.device, self.boot, self.head.number, self.head.digest)

    def boot_line(self, t_ns: int, fields: Mapping[str, Any]) -> bytes:
        """The first line of a boot: names the boot key, certified by the device key."""
        identity = {"format": FORMAT, "device": self.device, "boot": self.boot, **self._certified}
        return self.line("boot", t_ns, {**fields, **identity})

    def line(self, kind: str, t_ns: int, fields: Mapping[str, Any]) -> bytes:
        """The next line, signed, with its newline. It counts as written from now on."""
        if RESERVED & fields.keys():
            raise ValueError(f"reserved names in a ledger line: {sorted(RESERVED & fields.keys())}")
        number = self.head.number + 1
        signed = canonical_json.encode(
            {**fields, "n": number, "prev": self.head.digest, "t": t_ns, "kind": kind}
        )
        line = signed + b"\t" + signature.sign(self._key, signed).hex().encode()
        self.head = Head(number, hashlib.sha256(line).hexdigest())
        return line + b"\n"
