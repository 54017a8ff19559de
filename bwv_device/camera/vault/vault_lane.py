"""The vault as the loop sees it: jobs on the disk lane, and a vault opened anew when its ledger
can't be written any more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from bwv_device.camera.loop import Done, Lane, Loop, Outcome
from bwv_device.camera.vault.recovery import OpeningError, Recovered, boot_vault
from bwv_device.camera.vault.vault import LedgerError, Vault
from bwv_device.formats.ledger_lines import Head
from bwv_device.formats.signature import KEY_ENTROPY
from hal.ports import SECOND_NS, Anchor, Board

# Lines kept while the ledger can't be written. Beyond that the newest are dropped, and counted.
UNWRITTEN_LIMIT = 1024
RETRY_NS = 2 * SECOND_NS


class Note(NamedTuple):
    kind: str
    t_ns: int
    fields: dict[str, Any]


class LineObserver(Protocol):
    """Whoever wants to know of ledger lines."""

    def noted(self, kind: str, fields: dict[str, Any], at: Anchor) -> None:
        """A line is durable; `at` is the ledger's head behind it."""
        ...


class VaultLane:
    """Everything that is written goes through here, in order."""

    def __init__(self, board: Board, loop: Loop, about: Mapping[str, Any]) -> None:
        self._board, self._loop, self._about = board, loop, dict(about)
        self._lane: Lane = loop.lane("disk")
        self._vault: Vault | None = None
        self._unwritten: deque[Note] = deque()
        self._dropped = 0
        self._finished = self._unsettled = False
        self._stopped: Callable[[], None] = lambda: None
        self._acknowledged: Head | None = None
        self.anchor: Anchor | None = None
        self.on_open: Callable[[Recovered], None] = lambda recovered: None
        self.on_fault: Callable[[Exception], None] = lambda error: None
        self._observers: list[LineObserver] = []

    def observe(self, observer: LineObserver) -> None:
        """`observer` is told of each line once it is durable, on the loop."""
        self._observers.append(observer)

    def tell(self, kind: str, fields: dict[str, Any], at: Anchor) -> None:
        """Tells the observers of a line that is durable."""
        for observer in self._observers:
            observer.noted(kind, fields, at)

    @property
    def usable(self) -> bool:
        return self._vault is not None

    @property
    def boot(self) -> int:
        assert self.anchor is not None
        return self.anchor.boot

    def open(self, cause: str) -> None:
        """Recovers the vault and starts a ledger file. Repeats until the disk lets it."""
        self._vault = None
        board, t_ns = self._board, self._loop.now_ns()
        reading = board.clock.utc()._asdict()
        about = {**self._about, "time": reading}
        # Drawn here: entropy is used on the loop alone, in one order.
        key_entropy = board.entropy.token(KEY_ENTROPY)

        acknowledged = self._acknowledged

        def job() -> tuple[Vault, Recovered]:
            return boot_vault(
                board.disk, board.identity, key_entropy, t_ns, about, cause, acknowledged
            )

        self._lane.submit(job, lambda outcome: self._opened(outcome, cause))

    def note(self, kind: str, **fields: Any) -> None:
        """A ledger line, in order with everything else. Kept while the ledger is unusable."""
        if not self._finished:
            self._write(Note(kind, self._loop.now_ns(), fields))

    def _write(self, note: Note) -> None:
        vault = self._vault
        if vault is None:
            self._keep(note)
            return
        self._lane.submit(
            lambda: vault.note(*note), lambda outcome: self._noted(outcome, note, vault)
        )

    def finish(self, done: Callable[[], None]) -> None:
        """The `stop` line, the last of this boot: whatever is noted later is too late. A line that
        the disk refuses is tried once more, behind a ledger that is opened anew. Files that
        met an error are explained first, by a recovery; `on_open` then asks for the end again."""
        if self._unsettled and self._vault is not None:
            self._acknowledged = self._vault.acknowledged
            self.open("segment fault")
            return
        if not self._finished:
            self._finished, self._stopped = True, done
            self._write(Note("stop", self._loop.now_ns(), {}))

    def submit(self, job: Callable[[Vault], Anchor], done: Done) -> None:
        """A job on the open vault. `done` hears `LedgerError` where the ledger broke."""
        vault = self._vault
        if vault is None:
            done(Outcome(None, LedgerError("the ledger is closed")))
            return

        def finished(outcome: Outcome) -> None:
            if isinstance(outcome.error, LedgerError):
                self._broken(vault, outcome.error)
            elif outcome.error is not None:
                self._unsettled = True
            elif outcome.value:
                self.anchor = outcome.value
            done(outcome)

        self._lane.submit(lambda: job(vault), finished)

    def _noted(self, outcome: Outcome, note: Note, vault: Vault) -> None:
        if outcome.error is not None:
            self._keep(note)
            self._broken(vault, outcome.error)
            return
        self.anchor = outcome.value
        self.tell(note.kind, note.fields, outcome.value)
        if note.kind == "stop":
            self._stopped()

    def _keep(self, note: Note) -> None:
        if len(self._unwritten) < UNWRITTEN_LIMIT:
            self._unwritten.append(note)
        else:
            self._dropped += 1

    def _broken(self, vault: Vault, error: Exception) -> None:
        if vault is not self._vault:
            return
        self._vault = None
        # What stands behind the last acknowledged line may be there, or not, after a power cut.
        self._acknowledged = vault.acknowledged
        self.on_fault(error)
        self.open("ledger fault")

    def _opened(self, outcome: Outcome, cause: str) -> None:
        if outcome.error is not None:
            if isinstance(outcome.error, OpeningError):
                self._acknowledged = outcome.error.acknowledged
            self.on_fault(outcome.error)
            if self._finished:  # it was tried again once: the next boot will explain it
                self._stopped()
                return
            self._loop.call_at(self._loop.now_ns() + RETRY_NS, lambda: self.open(cause))
            return
        self._vault, recovered = outcome.value
        self._unsettled = False
        self.anchor = recovered.anchor
        unwritten, self._unwritten = self._unwritten, deque()
        for note in unwritten:
            # Delayed twice, the first time counts.
            waited = {"delayed_since_ns": note.t_ns, **note.fields}
            self._write(note._replace(t_ns=self._loop.now_ns(), fields=waited))
        if self._dropped:
            self.note("fault", part="ledger", reason="lines dropped", count=self._dropped)
            self._dropped = 0
        self.on_open(recovered)
