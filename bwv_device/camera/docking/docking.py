"""Carries out the requests of the docking protocol: store requests in the uplink lane, vault jobs
in the disk lane.

An error here is written to the ledger and affects nothing else. The next docking starts afresh.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from cryptography import x509

from bwv_device.camera.docking.protocol import (
    ANSWER_LIMIT,
    Ask,
    Assign,
    Clock,
    Conversation,
    Digest,
    Docking,
    Limits,
    Plan,
    Request,
    Say,
    Settled,
    Tell,
    Upload,
    Wait,
    Wipe,
)
from bwv_device.camera.loop import Loop, Outcome
from bwv_device.camera.vault import undelivered
from bwv_device.camera.vault.undelivered import Inventory
from bwv_device.camera.vault.vault import footage_path
from bwv_device.camera.vault.vault_lane import VaultLane
from bwv_device.formats import statement
from bwv_device.formats.grammar.purposes import DOCKING
from bwv_device.formats.grammar.statements import Assignment
from bwv_device.formats.statement import Statement
from bwv_device.formats.upload_body import BytesBody, FilePart
from bwv_device.settings import Dock, milliseconds, seconds
from hal.ports import SECOND_NS, Anchor, Board, StoreError, StoreTrouble, UtcReading

# How often a battery that is too low for an upload is looked at again.
CHARGE_LOOK_NS = 30 * SECOND_NS
# How long a conversation that met an unexpected error waits before the next one.
RESTART_NS = 60 * SECOND_NS


class DockObserver(Protocol):
    """What a docking needs from the camera, and reports to it, on the loop."""

    def may_send(self) -> bool:
        """Whether the battery is good for an upload."""
        ...

    def time_told(self, reading: UtcReading) -> None:
        """The store knows the time."""
        ...

    def assigned(self, statement: Statement[Assignment]) -> None:
        """The agency's newest assignment, as signed."""
        ...

    def delivery_changed(self) -> None:
        """`outcome` changed."""
        ...

    def noted(self, kind: str, fields: Mapping[str, Any], at: Anchor) -> None:
        """The `dock` line is durable."""
        ...


class Delivery:
    """Starts a conversation at each docking and ends it at undocking."""

    def __init__(
        self,
        board: Board,
        loop: Loop,
        vault_lane: VaultLane,
        settings: Dock,
        roots: Sequence[x509.Certificate],
        observer: DockObserver,
    ) -> None:
        self._board, self._loop, self._vault_lane, self._roots = board, loop, vault_lane, roots
        self._observer = observer
        self._settings = settings
        self._limits = Limits(
            greeting_wait_ns=seconds(settings.greeting_wait_s),
            poll_ns=milliseconds(settings.poll_ms),
            resend_ns=seconds(settings.resend_s),
            bandwidth_kbps=settings.bandwidth_kbps,
            replicas_min=settings.replicas_min,
            renew_ns=seconds(60 * settings.renew_min),
        )
        self._number = 0
        self._docked = True
        self._docking: Docking | None = None
        self._conversation: Conversation | None = None
        self.assignment = 0
        self.outcome = ""  # "": not docked; "delivering"; or what the conversation came to

    def begin(self, *, docked: bool = True) -> None:
        """The camera is in the dock, and its ledger can be written. Not `docked` it is in use, and
        sends what was flagged, once."""
        self._leave()
        self._docked = docked
        nonce = self._board.entropy.token(16).hex()
        number = self._number

        def noted(outcome: Outcome) -> None:
            if outcome.error is None:
                self._observer.noted("dock", fields, outcome.value)
                if number == self._number:
                    self._take_stock(nonce, outcome.value)

        t_ns = self._loop.now_ns()
        fields = {"docked": docked, "nonce": nonce}
        self._vault_lane.submit(lambda vault: vault.note("dock", t_ns, fields), noted)

    def end(self) -> None:
        """Undocked or switched off. Requests under way are not waited for."""
        if self._docking is not None and self.outcome == "delivering":
            self._tell_outcome("undocked")
        self._leave()
        self.outcome = ""

    def _leave(self) -> None:
        self._number += 1
        if self._conversation is not None:
            self._conversation.close()
        self._conversation = self._docking = None

    # --- stock --------------------------------------------------------------------------------

    def _take_stock(self, nonce: str, anchor: Anchor) -> None:
        if not self._roots or not self._settings.store:
            return
        self._set_outcome("delivering")
        disk, number = self._board.disk, self._number
        certificate_pem = self._board.identity.certificate_pem

        def taken(outcome: Outcome) -> None:
            if number != self._number:
                return
            if outcome.error is not None:
                self._vault_lane.note("fault", part="delivery", reason=str(outcome.error))
                self._set_outcome("kept")
                return
            for name in outcome.value.wiped:
                self._remove(name)
            self._converse(nonce, anchor, outcome.value)

        self._loop.lane("uplink").submit(
            lambda: undelivered.take(disk, certificate_pem, anchor), taken
        )

    def _remove(self, name: str) -> None:
        """Of a file that the store holds the disk would not let go."""

        def removed(outcome: Outcome) -> None:
            if outcome.error is not None:
                reason = str(outcome.error)
                self._vault_lane.note("fault", part="delivery", segment=name, reason=reason)

        self._vault_lane.submit(lambda vault: vault.remove_wiped(name), removed)

    def _converse(self, nonce: str, anchor: Anchor, stock: Inventory) -> None:
        identity, asked_ns = self._board.identity, self._loop.now_ns()
        fields = {
            "device": identity.device,
            "boot": anchor.boot,
            "nonce": nonce,
            "anchor": {"number": anchor.number, "digest": anchor.digest},
            "t": asked_ns,
            "ledgers": [
                {"boot": boot, "length": length} for boot, length in sorted(stock.ledgers.items())
            ],
            "battery": self._battery(),
            "time": self._board.clock.utc()._asdict(),
            "files": [
                {"segment": f.segment, "length": f.length, "sha256": f.sha256} for f in stock.files
            ],
        }
        said = statement.make(identity, DOCKING, fields)
        plan = Plan(
            identity.device, anchor.boot, nonce, anchor, stock, said, asked_ns, self.assignment,
            not self._docked,
        )  # fmt: skip
        self._docking = Docking(plan, self._limits, self._roots, self._loop.now_ns, self._chance)
        self._conversation = self._docking.run()
        self._go_on(self._number, None)

    def _battery(self) -> int:
        """Percent; 0 if it can't be read."""
        try:
            return self._board.power.read().percent
        except OSError:
            return 0

    def _chance(self, below: int) -> int:
        return int.from_bytes(self._board.entropy.token(8), "big") % max(1, below)

    # --- requests -----------------------------------------------------------------------------

    def _go_on(self, number: int, answer: Any) -> None:
        """Runs until a request takes time. An abandoned conversation gets no answers."""
        while number == self._number and self._conversation is not None:
            try:
                request = self._conversation.send(answer)
            except StopIteration as end:
                if end.value:
                    self.begin()
                elif not self._docked:
                    self._leave()
                return
            except Exception as error:
                self._begin_anew(error)
                return
            if isinstance(request, Tell):
                self._vault_lane.note(request.kind, **request.fields)
            elif isinstance(request, Settled):
                self._tell_outcome(request.outcome)
                self._set_outcome(request.outcome)
            elif isinstance(request, Clock):
                self._clock(request)
            elif isinstance(request, Assign):
                self._observer.assigned(request.statement)
            else:
                self._carry_out(request, partial(self._go_on, number))
                return
            answer = None

    def _begin_anew(self, error: Exception) -> None:
        """An error boundary: an unexpected error is written down and does not end the camera."""
        reason = f"{type(error).__name__}: {error}"
        self._vault_lane.note("fault", part="dock", reason=reason)
        self._leave()
        self._set_outcome("kept")
        number = self._number

        def again() -> None:
            if number == self._number and self._docked:
                self.begin()

        self._loop.call_at(self._loop.now_ns() + RESTART_NS, again)

    def _carry_out(self, request: Request, answer: Callable[[Any], None]) -> None:
        uplink, disk = self._board.uplink, self._board.disk
        if isinstance(request, Wait):
            when_ns = self._loop.now_ns() + request.duration_ns
            self._loop.call_at(when_ns, lambda: answer(None))
        elif isinstance(request, Wipe):
            receipt, t_ns = request.receipt, self._loop.now_ns()
            self._vault_lane.submit(
                lambda vault: vault.wipe(receipt, t_ns), lambda outcome: answer(outcome.error)
            )
        elif isinstance(request, Ask):
            key = request.key
            self._in_uplink(lambda: uplink.read(key, ANSWER_LIMIT), answer)
        elif isinstance(request, Say):
            key, body = request.key, BytesBody(request.data)
            self._in_uplink(lambda: uplink.create(key, body), answer)
        elif isinstance(request, Digest):
            where = (request.boot, request.offset, request.length)
            self._in_uplink(lambda: undelivered.ledger_digest(disk, *where), answer)
        elif isinstance(request, Upload):
            self._when_charged(lambda: self._upload(request, answer))

    def _upload(self, request: Upload, answer: Callable[[Any], None]) -> None:
        uplink, disk = self._board.uplink, self._board.disk

        def job() -> None:
            path = request.path or footage_path(disk, request.segment)
            part = FilePart(disk, path, request.offset, request.length, request.sha256)
            uplink.create(request.key, part)

        self._in_uplink(job, answer)

    def _in_uplink(self, job: Callable[[], Any], answer: Callable[[Any], None]) -> None:
        """Answers with the job's value, or with what went wrong as a `StoreError`."""

        def done(outcome: Outcome) -> None:
            error = outcome.error
            if error is not None and not isinstance(error, StoreError):
                error = StoreError(StoreTrouble.REFUSED, str(error))
            answer(error if error is not None else outcome.value)

        self._loop.lane("uplink").submit(job, done)

    def _when_charged(self, then: Callable[[], None]) -> None:
        number = self._number

        def look() -> None:
            if number != self._number:
                return
            if self._observer.may_send():
                then()
            else:
                self._loop.call_at(self._loop.now_ns() + CHARGE_LOOK_NS, look)

        look()

    def _clock(self, told: Clock) -> None:
        """Half of the time between request and answer is added to the error."""
        span_ns = self._loop.now_ns() - told.asked_ns
        utc_ns, error_ns = told.utc_ns + span_ns // 2, told.error_ns + (span_ns + 1) // 2
        self._observer.time_told(UtcReading(utc_ns, error_ns, "store"))

    def _tell_outcome(self, outcome: str) -> None:
        docking = self._docking
        assert docking is not None
        self._vault_lane.note(
            "delivery",
            outcome=outcome,
            delivered=docking.delivered,
            kept=docking.kept,
            waiting=len(docking.waiting),
        )

    def _set_outcome(self, outcome: str) -> None:
        self.outcome = outcome
        self._observer.delivery_changed()
