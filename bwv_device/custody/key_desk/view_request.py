"""What a person asks of the key desk, and what a second one agrees to (docs/format.md, 10.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509

from bwv_device.custody.permissions import CUSTODIAN, REVIEWER
from bwv_device.formats import statement
from bwv_device.formats.grammar.purposes import VIEW_APPROVAL, VIEW_REQUEST
from bwv_device.formats.grammar.statements import ViewApproval, ViewRequest
from bwv_device.formats.statement import Signer, SignerError, Statement, StatementError, Viewer
from hal.ports import SECOND_NS

# So old may a request be, or dated so much ahead; and with a second person's approval.
FRESH_NS, APPROVED_NS = 15 * 60 * SECOND_NS, 24 * 3600 * SECOND_NS
APPROVERS = (CUSTODIAN, REVIEWER)


class Asked(NamedTuple):
    """A request, read and checked: who asks, and for which key. `digest` names it."""

    value: ViewRequest
    statement: Statement[ViewRequest]
    person: str
    role: str
    viewer: Viewer
    viewer_chain: list[x509.Certificate]
    digest: str


class Approved(NamedTuple):
    """Who agreed, with the certificates that say so."""

    person: str
    chain: list[x509.Certificate]


def make_request(
    signer: Signer,
    *,
    store: str,
    recording: str,
    segments: Sequence[str],
    key_pem: bytes,
    reason: str,
    case: str,
    nonce: str,
    utc_ns: int,
) -> bytes:
    """`recording` is `<device>/<recording>`."""
    device, _, name = recording.partition("/")
    fields = {
        "store": store,
        "device": device,
        "recording": name,
        "segments": list(segments),
        "key": key_pem.decode("ascii"),
        "reason": reason,
        "case": case,
        "nonce": nonce,
        "utc_ns": utc_ns,
    }
    return statement.make(signer, VIEW_REQUEST, fields)


def digest_of(request: bytes) -> str:
    """SHA-256 of a request's text: what was signed, with its signature."""
    return hashlib.sha256(request.partition(b"\n")[0]).hexdigest()


def make_approval(signer: Signer, request: bytes, utc_ns: int) -> bytes:
    return statement.make(signer, VIEW_APPROVAL, {"request": digest_of(request), "utc_ns": utc_ns})


def read_request(data: bytes, roles: Sequence[str], roots: Sequence[x509.Certificate]) -> Asked:
    """Raises `StatementError` unless one of `roles` signed it, for a key of the same person."""
    said = statement.of_role(data, ViewRequest, roles, roots)
    chain = statement.chain_of(said.value.key.encode("ascii"))
    viewer = statement.viewer_of(chain, roots)
    person = statement.person_of(said.chain[0])
    if not person or viewer.person != person:
        raise SignerError("is for a key that is certified for another person")
    if not said.value.segments or len(set(said.value.segments)) != len(said.value.segments):
        raise StatementError("names no file, or one twice")
    role = statement.role_of(said.chain).role
    return Asked(said.value, said, person, role, viewer, chain, digest_of(data))


def read_approval(data: bytes, asked: Asked, roots: Sequence[x509.Certificate]) -> Approved:
    """Raises `StatementError` unless another person, who may, agreed to this very request."""
    said = statement.of_role(data, ViewApproval, APPROVERS, roots)
    person = statement.person_of(said.chain[0])
    if said.value.request != asked.digest:
        raise StatementError("agrees to another request")
    if not person or person == asked.person:
        raise SignerError("is signed by the person who asks")
    return Approved(person, said.chain)
