"""What intake says: to cameras, in their outbox, and to the custody ledger of what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bwv_device.custody.session import CustodySession
from bwv_device.formats import statement, store_keys
from bwv_device.formats.grammar.purposes import REFUSAL
from bwv_device.formats.upload_body import BytesBody
from hal.ports import SECOND_NS, Body, EvidenceStore, StoreError, StoreTrouble

REVIEW_NS = 14 * 86_400 * SECOND_NS
# Of one file: whoever may only write into the store must not fill the ledger.
QUARANTINED_LIMIT = 5
REASON_LIMIT = 1000


class Voice:
    """Everything is said once: the key of an object, or what the ledger says, decides."""

    def __init__(self, session: CustodySession) -> None:
        self._session = session

    def say(self, key: str, purpose: str, fields: Mapping[str, Any]) -> bool:
        """False where it was said before."""
        said = statement.make(self._session.signer, purpose, fields)
        return create_once(self._session.store, key, BytesBody(said))

    def refuse_file(self, device: str, nonce: str, segment: str, reason: str) -> None:
        """`segment` "" is the whole docking."""
        fields = {"device": device, "nonce": nonce, "segment": segment}
        fields["reason"] = reason[:REASON_LIMIT]
        self.say(store_keys.refusal(device, nonce, segment), REFUSAL, fields)

    def quarantine(self, device: str, segment: str, reason: str, key: str) -> bool:
        """A line about something that waits for a person. False where there are enough."""

        def decide() -> tuple[str, Mapping[str, Any]] | None:
            index = self._session.index
            same = "SELECT 1 FROM quarantine WHERE key = ? AND reason = ?"
            of_file = "SELECT 1 FROM quarantine WHERE device = ? AND segment = ? AND segment != ''"
            if index.row(same, key, reason) is not None:
                return None
            if len(index.rows(of_file, device, segment)) >= QUARANTINED_LIMIT:
                return None
            review_ns = self._session.now_ns() + REVIEW_NS
            return "quarantine", {"device": device, "segment": segment, "reason": reason,
                                  "key": key, "review_ns": review_ns}  # fmt: skip

        return self._session.append(decide) is not None


def create_once(store: EvidenceStore, key: str, body: Body) -> bool:
    """False where the key is taken. A lost answer counts as an error, and is asked again."""
    try:
        store.create(key, body)
    except StoreError as error:
        if error.trouble is StoreTrouble.EXISTS:
            return False
        raise
    return True
