"""Carries out commands from an operator: each is checked, written to the ledger, carried out at
most once, and answered.

A compromised broker gets no further than `take`. All it can do is withhold messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from cryptography import x509

from bwv_device.camera.commands import check
from bwv_device.camera.commands.check import Checked, Refused
from bwv_device.camera.error_boundary import ErrorBoundary
from bwv_device.camera.loop import Done, Job, Loop, Outcome
from bwv_device.camera.vault.vault_lane import VaultLane
from bwv_device.formats.grammar.statements import Command
from bwv_device.formats.mqtt_messages import Assign, Hold, Locate, Update
from bwv_device.formats.statement import Statement
from hal.ports import SECOND_NS, Board

# Judging one takes three signatures: more than this a second are not looked at.
RATE_PER_S = 5
PENDING_LIMIT = 8

Submit = Callable[[Job, Done], None]
Report = Callable[[Callable[[dict[str, Any]], None]], None]


class Answer(NamedTuple):
    """The outcome of a command."""

    id: str
    counter: int
    command: str
    outcome: str
    reasons: list[str]
    result: dict[str, Any]


class Hands(Protocol):
    """All that a command can move. Each says which conditions are not met; none is good. There is
    nothing here that stops a recording, deletes, or darkens a light, and nothing may be added."""

    def locate(self, duration_s: int) -> list[str]: ...

    def mark(self) -> list[str]: ...

    def start(self) -> list[str]: ...

    def hold(self, recording: str, submit: Submit, done: Callable[[list[str]], None]) -> None: ...

    def assign(self, said: Statement[Command], officer: str) -> list[str]: ...

    def update(self, release: str, sha256: str) -> list[str]: ...


class Remote:
    """`reports` answer the commands that only ask."""

    def __init__(
        self,
        board: Board,
        loop: Loop,
        boundary: ErrorBoundary,
        vault_lane: VaultLane,
        roots: Sequence[x509.Certificate],
        hands: Hands,
        reply: Callable[[Answer], None],
        reports: Mapping[str, Report],
    ) -> None:
        self._clock, self._device = board.clock, board.identity.device
        self._loop, self._boundary, self._vault_lane = loop, boundary, vault_lane
        self._roots, self._hands, self._reply = roots, hands, reply
        self._reports = reports
        self.counter = 0
        self.refused: Counter[str] = Counter()
        self._answered = 0
        self._pending = 0
        self._allowance, self._since_ns = float(RATE_PER_S), loop.now_ns()
        self._written: set[str] = set()

    def opened(self, counter: int) -> None:
        """A ledger was opened; it holds this largest counter."""
        self.counter = max(self.counter, counter)
        self._written.clear()

    def take(self, data: bytes) -> None:
        """Takes a message of the command topic. Anybody may have sent it."""
        if not self._allowed():
            self._refuse(Refused("flood"))
            return
        self._pending += 1

        def heard(outcome: Outcome) -> None:
            self._pending -= 1
            if outcome.error is not None:
                self._refuse(Refused("malformed"))
            else:
                self._heard(outcome.value)

        device, roots = self._device, self._roots
        self._boundary.submit(lambda: check.read(data, device, roots), heard)

    def sifted_out(self, reason: str, count: int) -> None:
        """Refused in the broker's process, where everything that comes is judged first."""
        self._refuse(Refused(reason), count)

    def _allowed(self) -> bool:
        now_ns = self._loop.now_ns()
        earned = (now_ns - self._since_ns) * RATE_PER_S / SECOND_NS
        self._allowance, self._since_ns = min(RATE_PER_S, self._allowance + earned), now_ns
        if self._allowance < 1 or self._pending >= PENDING_LIMIT:
            return False
        self._allowance -= 1
        return True

    def _heard(self, said: Statement[Command] | Refused) -> None:
        if isinstance(said, Statement):
            said_or_not = check.judge(said, self.counter, self._clock.utc())
        else:
            said_or_not = said
        if isinstance(said_or_not, Refused):
            self._refuse(said_or_not)
        else:
            self._accept(said_or_not)

    def _refuse(self, refused: Refused, count: int = 1) -> None:
        """Counted; the first of a kind is written down. What the agency itself said is answered,
        once: a replay must not fill the outbox."""
        self.refused[refused.reason] += count
        if refused.reason not in self._written:
            self._written.add(refused.reason)
            self._vault_lane.note("refused", event="command", conditions=[refused.reason])
        if refused.counter > max(self._answered, self.counter):
            self._answered = refused.counter
            about = (refused.id, refused.counter, refused.command)
            self._reply(Answer(*about, "refused", [refused.reason], {}))

    def _accept(self, command: Checked) -> None:
        """Makes the command durable first, so that it is never carried out twice."""
        self.counter = command.counter
        t_ns, said = self._loop.now_ns(), command.said
        fields = {"statement": said.text, "certificate": said.certificate}

        def written(outcome: Outcome) -> None:
            if outcome.error is not None:
                self._answer(command, "failed", ["the ledger can't be written"])
            else:
                self._carry_out(command)

        self._vault_lane.submit(lambda vault: vault.note("command", t_ns, fields), written)

    def _carry_out(self, command: Checked) -> None:
        """What hands do is the evidence path's: an error there ends the process, as after a press.
        Only what is said of it is this department's."""
        arguments, hands = command.arguments, self._hands

        def done(unmet: list[str]) -> None:
            self._answer(command, "refused" if unmet else "done", unmet)

        if report := self._reports.get(command.name):
            ask = report
            self._boundary.run(
                lambda: ask(lambda result: self._answer(command, "done", [], result))
            )
        elif isinstance(arguments, Locate):
            done(hands.locate(arguments.seconds))
        elif isinstance(arguments, Hold):
            hands.hold(arguments.recording, self._boundary.submit, done)
        elif isinstance(arguments, Assign):
            done(hands.assign(command.said, arguments.officer))
        elif isinstance(arguments, Update):
            done(hands.update(arguments.release, arguments.sha256))
        elif command.name == "start":
            done(hands.start())
        else:
            done(hands.mark())

    def _answer(
        self,
        command: Checked,
        outcome: str,
        reasons: list[str],
        result: dict[str, Any] | None = None,
    ) -> None:
        fields = {"counter": command.counter, "command": command.name, "outcome": outcome}
        self._vault_lane.note("answer", **fields, reasons=reasons)
        answer = Answer(command.id, command.counter, command.name, outcome, reasons, result or {})
        self._boundary.run(lambda: self._reply(answer))
