"""Counts how requests from the public were answered, from custody's signed lines alone.

    python request_statistics.py STORE --root agency-root.pem [--from 2026-01-01 --to 2026-12-31]

For whoever does not believe our index: one file, only Python and its `cryptography` package. STORE
is a directory store, or a copy of its `custody/ledger`. Every line's number, link and signature is
checked. Dates of certificates, revoked keys and the order of times are not judged here; `bwv
custody audit` does.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import sys
import zoneinfo
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

WRITERS = ("custodian", "disclosure")
ZONE, ROLES_UNIT = "Europe/London", "roles CA"
_DER = serialization.Encoding.DER


def read(store: Path, root: x509.Certificate) -> list[dict[str, Any]]:
    """The lines in order, each with the `role` that signed it and its `digest`. What no role signed
    is passed over, as every reader does. Raises `ValueError` where a line is missing or not linked,
    and where there is none at all."""
    known: dict[str, tuple[x509.Certificate, str]] = {}
    head, number, lines = "0" * 64, 0, []
    for path in sorted(path for path in store.glob("custody/ledger/*/*/*/*") if path.is_file()):
        raw = path.read_bytes().removesuffix(b"\n")
        signed, tab, signature = raw.rpartition(b"\t")
        try:
            line = json.loads(signed)
        except ValueError:
            continue  # set aside by the next line, which says so
        if not tab or not isinstance(line, dict):
            continue
        role = _signer(line, signed, signature, known, root)
        if not role:
            continue  # no role's line: set aside
        if line["prev"] != head or line["n"] != number + int(line.get("aside", 0)) + 1:
            raise ValueError(f"line {line['n']} does not continue line {number}")
        head, number = hashlib.sha256(raw).hexdigest(), line["n"]
        lines.append({**line, "role": role, "digest": head})
    if not lines:
        raise ValueError(f"no line in {store} is signed by a role below this root")
    return lines


Known = dict[str, tuple[x509.Certificate, str]]


def _signer(
    line: dict[str, Any], signed: bytes, signature: bytes, known: Known, root: x509.Certificate
) -> str:
    """The role that signed a line; "" where none of the agency did."""
    try:
        if "certificate" in line:
            chain = x509.load_pem_x509_certificates(line["certificate"].encode())
            fingerprint = hashlib.sha256(chain[0].public_bytes(_DER)).hexdigest()
            known.setdefault(fingerprint, (chain[0], _role(chain, root)))
        certificate, role = known[line["by"]]
        said = bytes.fromhex(signature.decode())
        r, s = int.from_bytes(said[:32], "big"), int.from_bytes(said[32:], "big")
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    except (ValueError, TypeError, KeyError, AttributeError, AssertionError, InvalidSignature):
        return ""
    return role


def _role(chain: list[x509.Certificate], root: x509.Certificate) -> str:
    """Raises `ValueError` unless the roles CA issued it, and the root the roles CA."""
    if len(chain) != 2 or _unit(chain[1]) != ROLES_UNIT:
        raise ValueError("not of the roles CA")
    for below, above in zip(chain, [chain[1], root], strict=True):
        below.verify_directly_issued_by(above)
        constraints = above.extensions.get_extension_for_class(x509.BasicConstraints)
        if not constraints.value.ca:
            raise ValueError("not issued by an authority")
    return _unit(chain[0])


def _unit(certificate: x509.Certificate) -> str:
    units = certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
    return str(units[0].value) if len(units) == 1 else ""


def count(
    lines: list[dict[str, Any]], first: str, last: str, today: str, zone: str = ZONE
) -> dict[str, dict[str, Any]]:
    """By kind of request: as `bwv custody request statistics --json` says it."""
    requests: dict[str, dict[str, Any]] = {}
    for line in lines:
        if line["role"] not in WRITERS or not _is_whole(line):
            continue
        said = requests.get(line.get("request", ""))
        if line["kind"] == "request" and said is None:
            requests[line["request"]] = {
                "kind": line["type"], "received": line["received"], "due": line["due"],
                "closed": "", "outcome": "",
            }  # fmt: skip
        elif line["kind"] == "request-step" and said and not said["closed"]:
            said["due"] = line["due"]
        elif line["kind"] == "request-closed" and said and not said["closed"]:
            moment = datetime.datetime.fromtimestamp(line["utc_ns"] // 10**9, datetime.UTC)
            said["closed"] = moment.astimezone(zoneinfo.ZoneInfo(zone)).date().isoformat()
            said["outcome"] = line["outcome"]
    kinds = ("subject-access", "freedom-of-information")
    return {
        kind: _of([r for r in requests.values()
                   if r["kind"] == kind and first <= r["received"] <= last], today)
        for kind in kinds
    }  # fmt: skip


def _is_whole(line: dict[str, Any]) -> bool:
    """Whether it says what a line of its kind says; one that does not counts for nobody."""
    needed = {"request": ("type", "received", "due"), "request-step": ("due",),
              "request-closed": ("outcome",)}.get(line["kind"], ())  # fmt: skip
    return all(isinstance(line.get(name), str) for name in ("request", *needed))


def _of(requests: list[dict[str, Any]], today: str) -> dict[str, Any]:
    opened = [r for r in requests if not r["closed"]]
    answered = [r for r in requests if r["closed"] and r["outcome"] != "withdrawn"]
    late = [r for r in answered if r["due"] and r["closed"] > r["due"]]
    days = [
        (datetime.date.fromisoformat(r["closed"]) - datetime.date.fromisoformat(r["received"])).days
        for r in answered
    ]
    return {
        "received": len(requests),
        "in_time": len(answered) - len(late),
        "late": len(late),
        "withdrawn": len(requests) - len(opened) - len(answered),
        "open": len(opened),
        "waiting": sum(not r["due"] for r in opened),
        "overdue": sum(bool(r["due"]) and r["due"] < today for r in opened),
        "average_days": round(sum(days) / len(days), 1) if days else None,
    }


def main() -> int:
    """0 for counted; 1 where the ledger is not what it should be."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--from", dest="first", default="0001-01-01")
    parser.add_argument("--to", dest="last", default="9999-12-31")
    parser.add_argument("--zone", default=ZONE)
    said = parser.parse_args()
    try:
        root = x509.load_pem_x509_certificate(said.root.read_bytes())
        lines = read(said.store, root)
    except (OSError, ValueError, KeyError, InvalidSignature) as error:
        sys.stderr.write(f"The ledger can't be counted: {error}\n")
        return 1
    last = lines[-1]
    sys.stderr.write(f"{len(lines)} lines; the last is {last['n']}, SHA-256 {last['digest']}: "
                     "compare it with a checkpoint that somebody outside has seen\n")  # fmt: skip
    today = datetime.datetime.now(zoneinfo.ZoneInfo(said.zone)).date().isoformat()
    counted = count(lines, said.first, said.last, today, said.zone)
    sys.stdout.write(json.dumps(counted, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
