"""The docking protocol as a generator of requests: greet, send, receive receipts, remove.

It has no clock, disk or network; `docking` carries the requests out. Undocking in the middle is
normal: the generator is closed, and the next docking starts another.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple, TypeVar

from cryptography import x509

from bwv_device.camera.vault.undelivered import Deliverable, Inventory
from bwv_device.camera.vault.vault import Receipt
from bwv_device.formats import statement, store_keys
from bwv_device.formats.grammar.statements import Assignment, Greeting, LineAnchor, Refusal
from bwv_device.formats.grammar.statements import Receipt as SaidReceipt
from bwv_device.formats.ledger_lines import ledger_path
from bwv_device.formats.statement import Statement, StatementError
from bwv_device.verification.receipts import INTAKE
from hal.ports import SECOND_NS, Anchor, StoreError, StoreTrouble

T = TypeVar("T")

# Retries: from the first to the longest wait, and up to a half of it more by chance.
FIRST_WAIT_NS, LONGEST_WAIT_NS = SECOND_NS, 60 * SECOND_NS
FULL_WAIT_NS = 60 * SECOND_NS
# How many files without an answer are asked after in one round.
WINDOW = 16
# How often an answer that does not hold is read again: it may have been damaged on the way.
READ_AGAIN = 3
ANSWER_LIMIT = 64 << 10
# How often a camera that rests in the dock looks for a new assignment.
ASSIGNMENT_LOOK_NS = 60 * SECOND_NS


class Upload(NamedTuple):
    """Create an object from a file on the camera. Answer: None, or the `StoreError`."""

    key: str
    path: str  # "" for a file of footage, whose place is looked up by its name
    segment: str
    offset: int
    length: int
    sha256: str


class Say(NamedTuple):
    """Create a small object. Answer: None, or the `StoreError`."""

    key: str
    data: bytes


class Ask(NamedTuple):
    """Read a small object. Answer: its bytes, or the `StoreError`."""

    key: str


class Wait(NamedTuple):
    """Answer: None, when the time is over."""

    duration_ns: int


class Tell(NamedTuple):
    """A ledger line. Answer: None, at once."""

    kind: str
    fields: dict[str, Any]


class Wipe(NamedTuple):
    """Remove a file against its receipt. Answer: None, or the exception."""

    receipt: Receipt


class Clock(NamedTuple):
    """The store's time at some moment between two times of this camera. Answer: None."""

    utc_ns: int
    error_ns: int
    asked_ns: int


class Assign(NamedTuple):
    """A signed assignment newer than the one in force. Answer: None."""

    statement: Statement[Assignment]


class Settled(NamedTuple):
    """What this docking came to: `complete`, `kept` (something could not be delivered), `denied`
    or `refused`; `flagged` where only that was to go, and went. Answer: None."""

    outcome: str


class Digest(NamedTuple):
    """SHA-256 of some bytes of a boot's ledger. Answer: hex, or the `OSError`."""

    boot: int
    offset: int
    length: int


Request = Upload | Say | Ask | Wait | Tell | Wipe | Clock | Assign | Settled | Digest
Conversation = Generator[Request, Any, bool]


class Plan(NamedTuple):
    """What this docking is about. `statement` is the signed docking object."""

    device: str
    boot: int
    nonce: str
    anchor: Anchor
    inventory: Inventory
    statement: bytes
    asked_ns: int  # when it was written
    assignment: int  # version of the one in force
    urgent_only: bool = False  # not in the dock: what was flagged goes, the rest is announced


class Limits(NamedTuple):
    """Settings of the dock."""

    greeting_wait_ns: int = 30 * SECOND_NS
    poll_ns: int = 2 * SECOND_NS
    resend_ns: int = 120 * SECOND_NS
    bandwidth_kbps: int = 0
    replicas_min: int = 0
    renew_ns: int = 3600 * SECOND_NS


class _DeniedError(Exception):
    """This dock does not work at all."""


class _RefusedError(Exception):
    """The store refuses this docking."""


class Docking:
    """One conversation. `waiting` are the files without a receipt; the counts are for reports."""

    def __init__(
        self,
        plan: Plan,
        limits: Limits,
        roots: Sequence[x509.Certificate],
        now_ns: Callable[[], int],
        chance: Callable[[int], int],
    ) -> None:
        """`chance(n)` draws a number below n."""
        self._plan, self._limits, self._roots = plan, limits, roots
        self._now_ns, self._chance = now_ns, chance
        self.waiting: dict[str, Deliverable] = {}
        self.delivered = self.kept = 0
        self._sent_ns: dict[str, int] = {}
        self._misread: dict[str, int] = {}
        self._introduced: set[str] = set()
        self._greeted = False
        self._full_told = False
        self._version = plan.assignment

    def run(self) -> Conversation:
        """Ends where nothing goes on this dock, or when it is time for a new docking, which tells
        the store how the camera is."""
        try:
            try:
                outcome = yield from self._converse()
            except _RefusedError:
                outcome = "refused"
            yield Settled(outcome)
            if self._plan.urgent_only:
                return False
            yield from self._rest()
        except _DeniedError as error:
            yield Tell("fault", {"part": "dock", "reason": str(error)})
            yield Settled("denied")
            return False
        return True

    def _rest(self) -> Generator[Request, Any, None]:
        """Everything is sent; only a new assignment may still come."""
        until_ns = self._now_ns() + self._limits.renew_ns
        while self._now_ns() < until_ns:
            yield Wait(ASSIGNMENT_LOOK_NS)
            if self._greeted:
                yield from self._assignment(self._version + 1)

    def _converse(self) -> Generator[Request, Any, str]:
        plan = self._plan
        yield from self._say(store_keys.docking(plan.device, plan.nonce), plan.statement)
        yield from self._greet(self._limits.greeting_wait_ns)
        for file in plan.inventory.files:
            if plan.urgent_only and not file.urgent:
                break  # urgent ones come first
            if (yield from self._deliver(file)):
                self.waiting[file.segment] = file
            else:
                self.kept += 1
            if not self._greeted:
                yield from self._greet(0)
            if self._greeted:
                yield from self._collect()
        while self.waiting or not self._greeted:
            if not self._greeted:
                yield from self._greet(self._limits.resend_ns)
                yield from self._say(store_keys.docking(plan.device, plan.nonce), plan.statement)
            else:
                yield from self._collect()
            if self.waiting:
                yield Wait(self._limits.poll_ns + self._chance(self._limits.poll_ns // 2))
                yield from self._send_again()
        if plan.urgent_only:
            return "kept" if self.kept else "flagged"
        return "kept" if self.kept or plan.inventory.unsettled else "complete"

    # --- greeting: time, assignment, ledger ----------------------------------------------------

    def _greet(self, patience_ns: int) -> Generator[Request, Any, None]:
        """Waits so long for the store's greeting, and acts on it."""
        asked_ns = self._now_ns()
        key = store_keys.greeting(self._plan.device, self._plan.nonce)
        while True:
            answer = yield from self._ask(key)
            said = self._statement(answer, Greeting) if answer else None
            if said is not None:
                yield from self._greeting(said)
                return
            yield from self._hear_refusal()
            if self._now_ns() - asked_ns >= patience_ns:
                return
            yield Wait(self._limits.poll_ns)

    def _greeting(self, said: Statement[Greeting]) -> Generator[Request, Any, None]:
        told = said.value
        self._greeted = True
        yield Tell("greeting", {"statement": said.text})
        yield from self._introduce(said)
        # The greeting answers the docking: its time lies behind that.
        yield Clock(told.utc_ns, told.error_ns, self._plan.asked_ns)
        if told.assignment > self._version:
            yield from self._assignment(told.assignment)
        yield from self._send_ledger(told.ledger.boot, told.ledger.length)

    def _introduce(self, said: Statement[Any]) -> Generator[Request, Any, None]:
        by = statement.fingerprint(said.chain[0])
        if by not in self._introduced:
            self._introduced.add(by)
            yield Tell("custodian", {"certificate": said.certificate})

    def _assignment(self, version: int) -> Generator[Request, Any, None]:
        answer = yield from self._ask(store_keys.assignment(self._plan.device, version))
        try:
            if answer is None:
                return
            said = statement.of_role(answer, Assignment, ("configuration",), self._roots)
            self._require(said.value, version=version)
        except StatementError as error:
            yield from self._doubt("assignment", str(error))
            return
        self._version = version
        yield Assign(said)

    def _send_ledger(self, boot: int, length: int) -> Generator[Request, Any, None]:
        """Sends the part of the ledger before the anchor that the store does not have."""
        plan = self._plan
        for own, own_length in sorted(plan.inventory.ledgers.items()):
            offset = length if own == boot else 0
            if own < boot or own > plan.boot or own_length <= offset:
                continue
            digest = yield Digest(own, offset, own_length - offset)
            if isinstance(digest, Exception):
                yield Tell("fault", {"part": "delivery", "reason": f"ledger: {digest}"})
                return
            key = store_keys.ledger_piece(plan.device, plan.nonce, own, offset)
            size = own_length - offset
            yield from self._send(Upload(key, ledger_path(own), "", offset, size, digest))

    # --- footage --------------------------------------------------------------------------------

    def _deliver(self, file: Deliverable) -> Generator[Request, Any, bool]:
        key = store_keys.footage(self._plan.device, file.segment, file.sha256)
        began_ns = self._now_ns()
        sent = yield from self._send(Upload(key, "", file.segment, 0, file.length, file.sha256))
        self._sent_ns[file.segment] = self._now_ns()
        if self._limits.bandwidth_kbps:
            least_ns = file.length * 8 * SECOND_NS // (self._limits.bandwidth_kbps * 1000)
            if (rest_ns := least_ns - (self._now_ns() - began_ns)) > 0:
                yield Wait(rest_ns)
        return bool(sent)

    def _send_again(self) -> Generator[Request, Any, None]:
        """Sends files again that have had no answer for long: the store may have lost them."""
        for file in list(self.waiting.values()):
            if self._now_ns() - self._sent_ns[file.segment] >= self._limits.resend_ns:
                yield from self._say(
                    store_keys.docking(self._plan.device, self._plan.nonce), self._plan.statement
                )
                yield from self._send_ledger(0, 0)
                if not (yield from self._deliver(file)):
                    self._keep(file.segment)

    def _send(self, upload: Upload) -> Generator[Request, Any, bool]:
        """Sends a file. False if it can never be delivered."""
        return (yield from self._insist(upload, upload.segment or upload.key))

    def _say(self, key: str, data: bytes) -> Generator[Request, Any, None]:
        yield from self._insist(Say(key, data), key)

    def _insist(self, request: Upload | Say, what: str) -> Generator[Request, Any, bool]:
        wait_ns = FIRST_WAIT_NS
        while True:
            error = yield request
            if error is None or error.trouble is StoreTrouble.EXISTS:
                return True
            if error.trouble is StoreTrouble.DENIED:
                raise _DeniedError(str(error))
            if error.trouble is StoreTrouble.REFUSED:
                reason = {"part": "delivery", "segment": what, "reason": str(error)}
                yield Tell("fault", reason)
                return False
            if error.trouble is StoreTrouble.FULL:
                if not self._full_told:
                    self._full_told = True
                    yield Tell("fault", {"part": "dock", "reason": f"the store is full: {error}"})
                yield Wait(FULL_WAIT_NS + self._chance(FULL_WAIT_NS // 2))
                continue
            yield Wait(wait_ns + self._chance(wait_ns // 2))
            wait_ns = min(2 * wait_ns, LONGEST_WAIT_NS)

    # --- answers --------------------------------------------------------------------------------

    def _collect(self) -> Generator[Request, Any, None]:
        """Asks for the receipts of the files that were sent longest ago."""
        nonce = self._plan.nonce
        for file in list(self.waiting.values())[:WINDOW]:
            answer = yield from self._ask(
                store_keys.receipt(self._plan.device, nonce, file.segment)
            )
            if answer is not None:
                yield from self._receipt(file, answer)
                continue
            answer = yield from self._ask(
                store_keys.refusal(self._plan.device, nonce, file.segment)
            )
            if answer is not None:
                yield from self._refusal(file, answer)
        # What has no answer yet comes last in the next round.
        for name in list(self.waiting)[:WINDOW]:
            self.waiting[name] = self.waiting.pop(name)
        yield from self._hear_refusal()

    def _hear_refusal(self) -> Generator[Request, Any, None]:
        """Looks for a refusal of the whole docking, which ends it."""
        answer = yield from self._ask(store_keys.refusal(self._plan.device, self._plan.nonce, ""))
        said = self._statement(answer, Refusal) if answer else None
        if said is not None and said.value.segment == "":
            yield Tell("refusal", {"segment": "", "statement": said.text})
            raise _RefusedError

    def _receipt(self, file: Deliverable, answer: bytes) -> Generator[Request, Any, None]:
        """Checked once more, byte by byte, by the vault that removes the file."""
        said = self._statement(answer, SaidReceipt)
        try:
            if said is None:
                raise StatementError("it does not hold")
            anchor = LineAnchor(self._plan.anchor.number, self._plan.anchor.digest)
            self._require(
                said.value, segment=file.segment, length=file.length, sha256=file.sha256,
                anchor=anchor,
            )  # fmt: skip
            if len(said.value.replicas) < self._limits.replicas_min:
                raise StatementError("it names too few replicas")
        except StatementError as error:
            yield from self._misread_answer(file, str(error))
            return
        yield from self._introduce(said)
        failed = yield Wipe(Receipt(file.segment, file.length, file.sha256, said.text))
        if failed is None:
            self.delivered += 1
            del self.waiting[file.segment]
            return
        self._keep(file.segment)
        reason = {"part": "delivery", "segment": file.segment, "reason": str(failed)}
        yield Tell("fault", reason)

    def _refusal(self, file: Deliverable, answer: bytes) -> Generator[Request, Any, None]:
        said = self._statement(answer, Refusal)
        if said is None or said.value.segment != file.segment:
            yield from self._misread_answer(file, "a refusal that does not hold")
            return
        yield from self._introduce(said)
        yield Tell("refusal", {"segment": file.segment, "statement": said.text})
        self._keep(file.segment)

    def _misread_answer(self, file: Deliverable, reason: str) -> Generator[Request, Any, None]:
        self._misread[file.segment] = self._misread.get(file.segment, 0) + 1
        if self._misread[file.segment] >= READ_AGAIN:
            yield from self._doubt("receipt", f"{file.segment}: {reason}")
            self._keep(file.segment)

    def _keep(self, segment: str) -> None:
        self.waiting.pop(segment, None)
        self.kept += 1

    def _doubt(self, part: str, reason: str) -> Generator[Request, Any, None]:
        yield Tell("fault", {"part": part, "reason": reason})

    def _statement(self, answer: bytes, kind: type[T]) -> Statement[T] | None:
        """An answer of intake to this docking of this camera, or None."""
        try:
            said = statement.of_role(answer, kind, (INTAKE,), self._roots)
            self._require(said.value, nonce=self._plan.nonce)
        except StatementError:
            return None
        return said

    def _require(self, told: Any, **values: Any) -> None:
        for name, value in {"device": self._plan.device, **values}.items():
            if getattr(told, name) != value:
                raise StatementError(f"it names another {name}")

    def _ask(self, key: str) -> Generator[Request, Any, bytes | None]:
        """None if there is no object, or the store does not answer now."""
        answer: bytes | StoreError = yield Ask(key)
        if isinstance(answer, StoreError):
            if answer.trouble is StoreTrouble.DENIED:
                raise _DeniedError(str(answer))
            return None
        return answer
