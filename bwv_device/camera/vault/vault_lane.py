"""The vault as the loop sees it: jobs on the disk lane, in order.

Rules:

- A ledger that can't be written any more is never written to again: the vault is opened anew, and
  recovery explains what stands behind the last acknowledged line.
- Lines that come meanwhile are kept, and written behind the opening with the time they waited.
- Before the `stop` line every file that met an error is explained by a recovery.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from bwv_device.camera.loop import Done, Lane, Loop, Outcome
from bwv_device.camera.vault.recovery import Found, OpeningError, Recovered, boot_vault
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


class VaultState(enum.Enum):
    """`ENDING_ANEW`: the `stop` line waits for a ledger that is opened anew, once."""

    OPENING = "no ledger yet, or none any more"
    OPEN = "lines and files can be written"
    UNSETTLED = "open; a file met an error that no recovery has explained yet"
    ENDING = "the `stop` line is on its way; whatever is noted later is too late"
    ENDING_ANEW = "the same, without a ledger"


_S = VaultState


class VaultObserver(Protocol):
    """Is called with events of the vault, on the loop."""

    def vault_opened(self, recovered: Recovered) -> None:
        """The ledger can be written; this is what was found."""
        ...

    def vault_failed(self, error: Exception) -> None:
        """The ledger can't be written, or the vault can't be opened. It is tried again."""
        ...

    def noted(self, kind: str, fields: Mapping[str, Any], at: Anchor) -> None:
        """A line is durable; `at` is the ledger's head behind it."""
        ...


class VaultLane:
    """Everything is written through here, in order."""

    def __init__(
        self,
        board: Board,
        loop: Loop,
        about: Mapping[str, Any],
        observer: VaultObserver,
        found: Found | None = None,
    ) -> None:
        """`found`: what a survey of the vault has found already, for the first opening."""
        self._board, self._loop, self._about = board, loop, dict(about)
        self._observer, self._found = observer, found
        self._lane: Lane = loop.lane("disk")
        self._vault: Vault | None = None
        self._unwritten: deque[Note] = deque()
        self._dropped = 0
        self._state = _S.OPENING
        self._stopped: Callable[[], None] = lambda: None
        self._acknowledged: Head | None = None
        self.anchor: Anchor | None = None

    @property
    def _ending(self) -> bool:
        return self._state in (_S.ENDING, _S.ENDING_ANEW)

    @property
    def usable(self) -> bool:
        return self._vault is not None

    @property
    def boot(self) -> int:
        assert self.anchor is not None
        return self.anchor.boot

    def open(self, cause: str) -> None:
        """Recovers the vault and starts a ledger file, behind what is on its way to a vault that is
        open. Repeats until it works."""
        before = self._vault
        self._close()
        board, t_ns = self._board, self._loop.now_ns()
        reading = board.clock.utc()._asdict()
        about = {**self._about, "time": reading}
        # Drawn here: entropy is used on the loop alone, in one order.
        key_entropy = board.entropy.token(KEY_ENTROPY)

        in_doubt_behind = self._acknowledged
        found, self._found = self._found, None

        def job() -> tuple[Vault, Recovered]:
            acknowledged = before.acknowledged if before else in_doubt_behind
            return boot_vault(
                board.disk, board.identity, key_entropy, t_ns, about, cause, acknowledged, found
            )

        self._lane.submit(job, lambda outcome: self._opened(outcome, cause))

    def note(self, kind: str, **fields: Any) -> None:
        """A ledger line, in order with everything else. Kept while the ledger is unusable."""
        if not self._ending:
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
        met an error are explained first, by a recovery; `vault_opened` then asks for the end
        again."""
        if self._state is _S.UNSETTLED and self._vault is not None:
            self.open("segment fault")
            return
        if not self._ending:
            self._state = _S.ENDING_ANEW if self._vault is None else _S.ENDING
            self._stopped = done
            self._write(Note("stop", self._loop.now_ns(), {}))

    def submit(self, job: Callable[[Vault], Anchor], done: Done) -> None:
        """Runs a job on the open vault. `done` gets `LedgerError` if the ledger broke."""
        vault = self._vault
        if vault is None:
            done(Outcome(None, LedgerError("the ledger is closed")))
            return

        def finished(outcome: Outcome) -> None:
            if isinstance(outcome.error, LedgerError):
                self._broken(vault, outcome.error)
            elif outcome.error is not None:
                self._state = _S.UNSETTLED if self._state is _S.OPEN else self._state
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
        self._observer.noted(note.kind, note.fields, outcome.value)
        if note.kind == "stop":
            self._stopped()

    def _keep(self, note: Note) -> None:
        if len(self._unwritten) < UNWRITTEN_LIMIT:
            self._unwritten.append(note)
        else:
            self._dropped += 1

    def _close(self) -> None:
        self._vault = None
        self._state = _S.ENDING_ANEW if self._ending else _S.OPENING

    def _broken(self, vault: Vault, error: Exception) -> None:
        if vault is not self._vault:
            return
        self._close()
        # What stands behind the last acknowledged line may be there, or not, after a power cut.
        self._acknowledged = vault.acknowledged
        self._observer.vault_failed(error)
        self.open("ledger fault")

    def _opened(self, outcome: Outcome, cause: str) -> None:
        if outcome.error is not None:
            if isinstance(outcome.error, OpeningError):
                self._acknowledged = outcome.error.acknowledged
            self._observer.vault_failed(outcome.error)
            if self._ending:  # it was tried again once: the next boot will explain it
                self._stopped()
                return
            self._loop.call_at(self._loop.now_ns() + RETRY_NS, lambda: self.open(cause))
            return
        self._vault, recovered = outcome.value
        self._state = _S.ENDING if self._ending else _S.OPEN
        self.anchor = recovered.anchor
        unwritten, self._unwritten = self._unwritten, deque()
        for note in unwritten:
            # Delayed twice, the first time counts.
            waited = {"delayed_since_ns": note.t_ns, **note.fields}
            self._write(note._replace(t_ns=self._loop.now_ns(), fields=waited))
        if self._dropped:
            self.note("fault", part="ledger", reason="lines dropped", count=self._dropped)
            self._dropped = 0
        self._observer.vault_opened(recovered)
