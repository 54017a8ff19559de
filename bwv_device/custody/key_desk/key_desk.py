"""Opens headers for people who may look: checks, a line in custody's ledger, and then the key.

The order is the promise: nothing of a file key leaves `answer` unless the line that says who looks
counts and, where the agency has witnesses, a quorum has seen it. The desk sees headers, never
footage; the store has footage, and no key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bwv_device.custody.history import standing
from bwv_device.custody.key_desk.camera_headers import CameraHeaders
from bwv_device.custody.key_desk.view_request import (
    APPROVED_NS,
    FRESH_NS,
    Asked,
    read_approval,
    read_request,
)
from bwv_device.custody.key_desk.viewing_policy import VIEWERS, ViewingPolicy, alarm, is_outside
from bwv_device.custody.ledger.ledger import Decided
from bwv_device.custody.ledger.signers import why_not_valid
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError, SealedFileError
from bwv_device.formats import age, statement
from bwv_device.formats.grammar.purposes import GRANT
from bwv_device.formats.statement import StatementError


class Answer(NamedTuple):
    """The custody line that says who looks; and the grant, b"" while witnesses have not seen the
    line: then the same request is to be sent again."""

    line: int
    grant: bytes = b""


# What may have changed since the line about a request was written.
LATER = ("outside", "approval")


class KeyDesk:
    """`session`: of the desk's own role, or on one machine of the person who looks. `identities`
    are the agency's. `alarmed` hears of whoever looks too often outside their cases."""

    def __init__(
        self,
        session: CustodySession,
        roots: Sequence[x509.Certificate],
        identities: Sequence[age.Identity],
        policy: ViewingPolicy,
        alarmed: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._session, self._roots, self._policy = session, list(roots), policy
        self._identities, self._alarmed = identities, alarmed
        self._headers = CameraHeaders(session.index, session.store, roots)

    def answer(self, request: bytes, approval: bytes = b"") -> Answer:
        """Raises `CustodyError` where it is refused, `StoreError` where the store does not answer:
        no line was written then, or the same request finds it later."""
        session = self._session
        session.check()
        asked, approver = self._read(request, approval)
        recording = f"{asked.value.device}/{asked.value.recording}"
        category = self._require_here(asked, recording)
        outside = is_outside(session.index, recording, asked.person)
        self._policy.refuse(
            asked.role, asked.value.reason, category, outside=outside, approver=approver
        )
        headers = self._headers.of(asked.value.device, asked.value.segments)
        line = self._written(asked, recording, approver, approval, outside=outside)
        if not self._is_seen(line):
            return Answer(line)
        return Answer(line, self._granted(asked, line, headers))

    def _read(self, request: bytes, approval: bytes) -> tuple[Asked, str]:
        """What is asked, and who else agreed; "" for nobody."""
        try:
            asked = read_request(request, VIEWERS, self._roots)
            self._require_valid(asked.statement.chain)
            self._require_valid(asked.viewer_chain)
            approver = ""
            if approval:
                approved = read_approval(approval, asked, self._roots)
                self._require_valid(approved.chain)
                approver = approved.person
        except StatementError as error:
            raise CustodyError(f"The request {error}.", "Ask again.") from None
        age_ns = self._session.now_ns() - asked.value.utc_ns
        if not -FRESH_NS <= age_ns <= (APPROVED_NS if approver else FRESH_NS):
            raise CustodyError(
                "The request is too old, or dated ahead.", "Ask again; see that the clock is right."
            )
        if asked.value.store != self._session.index.store_id:
            raise CustodyError("The request is for another store.", "Check store.address.")
        return asked, approver

    def _require_valid(self, chain: Sequence[x509.Certificate]) -> None:
        session = self._session
        if why := why_not_valid(chain, session.trust(), session.now_ns()):
            raise StatementError(f"brings a certificate that {why}")

    def _require_here(self, asked: Asked, recording: str) -> str:
        """The recording's category. Raises `CustodyError` unless it can be looked at."""
        index = self._session.index
        row = index.row("SELECT * FROM recordings WHERE id = ?", recording)
        if row is None:
            raise CustodyError(f"There is no recording {recording}.", "See 'bwv custody list'.")
        if row["erased_ns"] is not None or row["erasing"]:
            raise CustodyError(f"{recording} was erased.", "See 'bwv custody certificate'.")
        if row["hidden_ns"] is not None:
            raise CustodyError(
                f"{recording} is hidden until it is erased.",
                "Hold it first, where there is a reason: bwv custody hold.",
            )
        for segment in asked.value.segments:
            file = index.row(
                "SELECT 1 FROM files WHERE device = ? AND segment = ? AND recording = ? AND "
                "status = 'received'", asked.value.device, segment, recording
            )  # fmt: skip
            if file is None:
                raise CustodyError(
                    f"{segment} is not a file of {recording} that was received.",
                    "See 'bwv custody show'.",
                )
        return str(row["category"])

    def _written(
        self, asked: Asked, recording: str, approver: str, approval: bytes, *, outside: bool
    ) -> int:
        """The number of the line that says who looks: written now, or before for this request."""
        session = self._session
        fields = self._fields(asked, recording, approver, approval, outside=outside)

        def decide() -> Decided | None:
            found = "SELECT 1 FROM views WHERE request = ?"
            if session.index.row(found, asked.digest) is not None:
                return None
            return "viewed", fields

        if session.append(decide) is not None:
            sentence = alarm(session.index, self._policy, asked.person, session.now_ns())
            if sentence:
                self._alarmed(sentence)
        row = session.index.row("SELECT n FROM views WHERE request = ?", asked.digest)
        if row is None:
            raise CustodyError("The line about this look does not count.", "Nothing was opened.")
        line = int(row["n"])
        self._require_said(line, fields)
        return line

    def _require_said(self, line: int, fields: Mapping[str, Any]) -> None:
        """People may write such lines themselves: one that names another recording, or fewer files,
        under this request's digest must not open these."""
        (said,) = self._session.index.lines("n = ?", line)
        # By now others may be on the case, or a second person asked again: what was opened counts.
        other = [name for name in fields if name not in LATER and said.get(name) != fields[name]]
        if other:
            raise CustodyError(
                f"The line {line} about this request says another {', '.join(other)}.",
                "Nothing was opened. Make another request, and tell who reviews the ledger.",
            )

    def _fields(
        self, asked: Asked, recording: str, approver: str, approval: bytes, *, outside: bool
    ) -> Mapping[str, Any]:
        said = asked.statement
        return {
            "recording": recording,
            "segments": list(asked.value.segments),
            "person": asked.person,
            "acts_as": asked.role,
            "key": hashlib.sha256(asked.viewer_chain[0].public_bytes(Encoding.DER)).hexdigest(),
            "request": asked.digest,
            "approver": approver,
            "outside": outside,
            "reason": asked.value.reason,
            "case": asked.value.case,
            "statement": f"{said.text}\n{said.certificate}",
            "approval": approval.decode("ascii") if approver else "",
        }

    def _is_seen(self, line: int) -> bool:
        """Whether the agency has no witnesses, or a quorum of them has seen the line."""
        session = self._session
        trust = session.trust()
        if trust is None or not trust.quorum:
            return True
        session.check()
        return any(seen.size >= line and seen.utc_s for seen in standing.seen(session.index))

    def _granted(self, asked: Asked, line: int, headers: Mapping[str, age.Header]) -> bytes:
        recipient = age.X25519Recipient(asked.viewer.public)
        granted = []
        for segment, header in headers.items():
            try:
                file_key = age.open_file_key(header, self._identities)
            except SealedFileError as error:
                raise CustodyError(
                    f"{segment} does not open: {error}", "Give the identity it was sealed to."
                ) from None
            new = age.write_header(file_key, [recipient], self._session.entropy)
            granted.append({"segment": segment, "header": new.decode("ascii")})
        fields = {"request": asked.digest, "line": line, "headers": granted}
        return statement.make(self._session.signer, GRANT, fields)
