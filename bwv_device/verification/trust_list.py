"""The agency's trust list, as its root signs it (docs/format.md, 8.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509

from bwv_device.formats import statement
from bwv_device.formats.grammar import statements
from bwv_device.formats.grammar.decode import GrammarError
from bwv_device.formats.grammar.purposes import TRUST_LIST
from bwv_device.formats.grammar.statements import Revoked, TrustList
from bwv_device.formats.statement import Chain, Signer, SignerError, StatementError
from bwv_device.verification.tlog.signed_note import (
    COSIGNATURE,
    COSIGNATURE_MLDSA44,
    ED25519,
    NoteError,
    VerifierKey,
)

ORIGIN = "bwv-custody/"


class Witness(NamedTuple):
    """A witness's key, and its address; "" where it is not asked from here."""

    key: VerifierKey
    url: str


class Trust(NamedTuple):
    """What the root said, read and checked."""

    version: int
    store: str
    log: VerifierKey
    witnesses: tuple[Witness, ...]
    quorum: int
    outage_s: int
    roles_cas: tuple[str, ...]
    revoked: tuple[Revoked, ...]

    @property
    def origin(self) -> str:
        return self.log.name

    def revoked_since_ns(self, certificate: str) -> int | None:
        """From when on a role's certificate does not count."""
        return min((r.utc_ns for r in self.revoked if r.certificate == certificate), default=None)


def origin(store: str) -> str:
    """Of the log of a store."""
    return ORIGIN + store


def make_trust_list(root: Signer, said: TrustList) -> str:
    """Signed by the agency's root."""
    fields = {
        "version": said.version,
        "store": said.store,
        "utc_ns": said.utc_ns,
        "log": said.log,
        "witnesses": [{"key": w.key, "url": w.url} for w in said.witnesses],
        "quorum": said.quorum,
        "outage_s": said.outage_s,
        "roles_cas": list(said.roles_cas),
        "revoked": [
            {"certificate": r.certificate, "utc_ns": r.utc_ns, "reason": r.reason}
            for r in said.revoked
        ],
    }
    return statement.make(root, TRUST_LIST, fields).decode("ascii")


def read_trust_list(text: str, roots: Sequence[x509.Certificate]) -> Trust:
    """Raises `StatementError` unless one of `roots` signed it and it can be followed."""

    def may_say(chain: Chain) -> None:
        if len(chain) != 1 or chain[0] not in roots:
            raise SignerError("the trust list is not signed by the agency's root")

    parsed = statement.parse(text.encode("utf-8", "replace"), may_say)
    try:
        said = statements.typed(TrustList, parsed.value)
        log = VerifierKey.parse(said.log)
        witnesses = tuple(Witness(VerifierKey.parse(w.key), w.url) for w in said.witnesses)
    except (GrammarError, NoteError) as error:
        raise StatementError(f"the trust list {error}") from None
    if log.kind != ED25519 or log.name != origin(said.store):
        raise StatementError("the trust list names a log key that is not this store's")
    names = {w.key.name for w in witnesses}
    kinds = {w.key.kind for w in witnesses} <= {COSIGNATURE, COSIGNATURE_MLDSA44}
    if not kinds or len(witnesses) != len({w.key for w in witnesses}):
        raise StatementError("the trust list names a witness twice, or one that is none")
    if said.quorum > len(names):
        raise StatementError("the trust list wants more witnesses than it names")
    return Trust(
        said.version, said.store, log, witnesses, said.quorum, said.outage_s, said.roles_cas,
        said.revoked,
    )  # fmt: skip
