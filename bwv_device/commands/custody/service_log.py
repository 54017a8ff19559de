"""What custody's services say, and when they end."""

from __future__ import annotations

import datetime

import click

from bwv_device.commands.custody.options import CustodyContext
from bwv_device.custody.history.log import LogRun
from bwv_device.custody.holdings.completeness import Completeness
from bwv_device.custody.intake.results import Done
from bwv_device.custody.quarantine import erase_discarded, overdue
from bwv_device.custody.requests.public_requests import reminders
from bwv_device.custody.retention.deletion import Expiry
from bwv_device.custody.retention.words_erasure import erase_words
from bwv_device.custody.role_keys import ending
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from bwv_device.formats.visible_text import visible
from hal.ports import EvidenceStore, StoreError

# So long before a role key ends it is said.
KEY_DAYS = 30
# Lost files that the log names one by one; the ledger and the command name all.
LOST_TOLD = 100


class ServiceLog:
    """Lines with the time of day, in the agency's zone."""

    def __init__(self, context: CustodyContext) -> None:
        self._desk = context
        self._problems = 0  # custody lines that do not count, and were told
        self._log_troubles: set[str] = set()
        self._waiting: set[str] = set()  # what is due and not whole, and was told

    def line(self, text: str, *, wrong: bool = False) -> None:
        now = datetime.datetime.fromtimestamp(self._desk.now_ns() / 1e9, self._desk.zone)
        # Names and reasons may come from a camera: no line of the log may be forged.
        click.echo(f"{now:%Y-%m-%d %H:%M:%S}  {visible(text)}", err=wrong)

    def intake(self, done: Done) -> None:
        """What a pass of the intake came to: each recording with its camera and officer."""
        for name, count in done.arrived.items():
            device, _, recording = name.partition("/")
            row = self._desk.session.index.row("SELECT * FROM recordings WHERE id = ?", name)
            officer = (row["officer"] if row else "") or "unknown"
            self.line(f"{device}: {count} files of recording {recording} received ({officer})")
        if done.something:
            self.line(f"{done.receipts} receipts, {done.quarantined} quarantined")
        for reason in done.refused:
            self.line(f"refused: {reason}", wrong=True)
        for what in done.strange:
            self.line(f"put out of sight, no camera signed it: {what}", wrong=True)
        for trouble in done.troubles:
            self.line(f"tried again later: {trouble}", wrong=True)
        self._tell_problems()

    def _tell_problems(self) -> None:
        problems = self._desk.session.index.rows("SELECT * FROM problems ORDER BY rowid")
        for row in problems[self._problems :]:
            self.line(f"custody line {row['n']}: {row['problem']}", wrong=True)
        self._problems = len(problems)

    def log(self, run: LogRun) -> None:
        """What a publication of the ledger's log came to; what went wrong, once."""
        if run.cosigned:
            self.line(f"line {run.size} is seen by {', '.join(run.cosigned)}")
        for trouble in run.troubles:
            if trouble not in self._log_troubles:
                self.line(f"the log: {trouble}", wrong=True)
        self._log_troubles = set(run.troubles)

    def expiry(self, expiry: Expiry) -> None:
        try:
            done = expiry.run()
        except CustodyError as error:  # the bulk guard: a person must confirm; intake goes on
            self.line(f"nothing is erased: {error}", wrong=True)
            return
        for word in ("hidden", "erased", "restored", "denied"):
            for name in getattr(done, word):
                self.line(f"{word}: {name}")
        for sentence in done.waiting:
            if sentence not in self._waiting:
                self.line(f"due, and not whole: {sentence}", wrong=True)
        self._waiting = set(done.waiting)

    def completeness(self, found: Completeness, told: list[str]) -> None:
        self.line(f"completeness: {found.here:,} objects are here, {len(found.lost):,} are lost")
        for lost in found.lost[:LOST_TOLD]:
            touched = ", ".join((*lost.cases, *lost.requests))
            whose = f" ({touched})" if touched else ""
            self.line(f"lost: {lost.recording or lost.what} {lost.segment}: {lost.why}{whose}",
                      wrong=True)  # fmt: skip
        for said in told:
            self.line(f"completeness: {said}", wrong=True)

    def words(self, session: CustodySession) -> None:
        try:
            count = erase_words(session)
        except CustodyError as error:
            self.line(f"no words are erased: {error}", wrong=True)
            return
        if count:
            self.line(f"the words of {count} lines are erased")

    def quarantine(
        self, session: CustodySession, replicas: list[EvidenceStore], told: set[str]
    ) -> None:
        """Erases what two persons discarded, and says what nobody looked at in time."""
        try:
            for number in erase_discarded(session, replicas):
                self.line(f"discarded: quarantine {number}")
        except CustodyError as error:
            self.line(f"nothing is discarded: {error}", wrong=True)
        for sentence in overdue(session):
            if sentence not in told:
                told.add(sentence)
                self.line(sentence, wrong=True)

    def keys(self, session: CustodySession, told: set[str]) -> None:
        """Says once which role keys end soon."""
        for sentence in ending(session, KEY_DAYS):
            if sentence not in told:
                told.add(sentence)
                self.line(sentence, wrong=True)

    def remind(self, session: CustodySession, days: int, told: set[str]) -> None:
        for sentence in reminders(session, days):
            if sentence not in told:
                told.add(sentence)
                self.line(f"reminder: {sentence}")
                session.append(lambda said=sentence: ("reminder", {"text": said}))  # type: ignore[misc]

    def no_answer(self, error: StoreError) -> None:
        self.line(f"The store does not answer; it is asked again: {error}", wrong=True)
