"""Takes the camera to another release, and back where that one fails.

In the dock, with nothing recorded and nothing undelivered, a bundle is fetched, judged, written
into the slot that does not run, and started on trial. A system on trial shows that it works
(`self_test`) and is kept; one that can't is left again. A department: an error here ends nothing
else.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from cryptography import x509

from bwv_device.camera.error_boundary import ErrorBoundary
from bwv_device.camera.loop import Loop, Outcome
from bwv_device.camera.recording.capture import Capture
from bwv_device.camera.update import wanted as wanted_file
from bwv_device.camera.update.wanted import BUNDLE, Wanted
from bwv_device.camera.vault.vault_lane import VaultLane
from bwv_device.formats import age, store_keys
from bwv_device.formats.grammar.forms import Hex
from bwv_device.formats.mqtt_messages import Software
from bwv_device.formats.software_offer import OFFER_LIMIT, OfferError, release_numbers
from hal.ports import SECOND_NS, AccessUnit, Board, StoreError, StoreTrouble, Timer

if TYPE_CHECKING:
    from bwv_device.camera.update.bundle_download import BundleDownload
    from bwv_device.verification.software_offer import Release

# How long pictures are waited for, and how often a trial looks whether it may end.
PICTURES_NS, LOOK_NS = 150 * SECOND_NS, 5 * SECOND_NS
# A store that does not answer, or has no such offer yet, is asked again while the camera is docked.
AGAIN_NS = 60 * SECOND_NS


class UpdateState(enum.Enum):
    """How far it is."""

    NONE = ""
    WANTED = "wanted"
    FETCHING = "fetching"
    INSTALLING = "installing"
    INSTALLED = "installed"
    ON_TRIAL = "on trial"
    LEAVING = "leaving"


_S = UpdateState


class UpdateObserver(Protocol):
    """What an update needs of the camera, on the loop."""

    def may_update(self) -> bool:
        """Docked, nothing recorded, everything delivered, and power enough."""
        ...

    def at_rest(self) -> bool:
        """Nothing is recorded."""
        ...

    def slot_wanted(self, *, other: bool, reason: str) -> None:
        """The camera is to end in order, and its machine to start again."""
        ...

    def update_changed(self) -> None: ...


class Updates:
    """`opened` once the ledger can be written; `asked` by a command."""

    def __init__(
        self,
        board: Board,
        loop: Loop,
        vault_lane: VaultLane,
        capture: Capture,
        roots: Sequence[x509.Certificate],
        recipient_type: str,
        observer: UpdateObserver,
    ) -> None:
        self._board, self._loop, self._vault_lane = board, loop, vault_lane
        self._capture, self._roots, self._observer = capture, roots, observer
        self._recipient_type = recipient_type
        self._work = ErrorBoundary(loop, "update", self._failed)
        self._line = ErrorBoundary(loop, "uplink", self._failed)
        self._wanted: Wanted | None = None
        self._release: Release | None = None
        self._timer: Timer | None = None
        self._begun = False
        self._misfetches = 0
        self._cancelled = False
        self.running = board.slots.running()
        self.state = _S.NONE
        self.last = ""  # what became of the last one

    # --- life ---------------------------------------------------------------------------------

    def opened(self) -> None:
        """The ledger can be written."""
        if self._begun:
            return
        self._begun = True
        if self.running.release:
            self._work.submit(lambda: wanted_file.read(self._board.disk), self._read)

    def _read(self, outcome: Outcome) -> None:
        if self.state is not _S.NONE:
            return  # asked meanwhile
        self._wanted = outcome.value if outcome.error is None else None
        returned = (
            self._wanted is not None
            and self._wanted.started
            and self._wanted.release != self.running.release
        )
        if self.running.on_trial and not returned:
            self._work.run(self._begin_trial)
        elif self._wanted is None:
            return
        elif returned:
            self._end("returned", f"{self.running.release} runs again")
        elif not self._is_newer(self._wanted.release):
            self._forget()  # it was kept, and the power went before that was written
        else:
            self._to(_S.WANTED)
            self.look()

    def asked(self, release: str, sha256: str) -> list[str]:
        """By a command of the agency. Without a digest what was wanted is not wanted any more.
        Returns the conditions that are not met."""
        if not self.running.release:
            return ["this machine has no second slot"]
        if self.state in (_S.INSTALLING, _S.INSTALLED, _S.ON_TRIAL, _S.LEAVING):
            return [f"an update is {self.state.value}"]
        if not sha256:
            self._cancel()
            self._forget()
            self.last = "withdrawn"
            return []
        try:
            if not self._is_newer(release):
                return [f"it runs {self.running.release}"]
        except OfferError as error:
            return [str(error)]
        if not Hex(64).fits(sha256):
            return ["it names no bundle"]
        wanted, self._misfetches = Wanted(release, sha256), 0
        if wanted == self._wanted:
            return []
        self._wanted, self._release, self.last = wanted, None, ""

        def written(outcome: Outcome) -> None:
            if outcome.error is None:
                self.look()
            elif self._wanted == wanted:
                self._wanted = None
                self._to(_S.NONE)
                self._vault_lane.note("fault", part="update", reason=str(outcome.error)[:200])

        def write() -> None:
            wanted_file.forget(self._board.disk)
            wanted_file.write(self._board.disk, wanted)

        self._to(_S.WANTED)
        self._work.submit(write, written)
        return []

    def status(self) -> Software | None:
        """For telemetry; None on a machine without slots."""
        release, on_trial = self.running
        return Software(release, on_trial, self.state.value, self.last) if release else None

    def look(self) -> None:
        """Something may have changed: begins, where it may."""
        if self.state is _S.WANTED and self._observer.may_update():
            self._cancel()
            self._to(_S.FETCHING)
            self._work.run(self._fetch_offer)

    def undocked(self) -> None:
        """What is under way waits for the next docking; what is written into a slot is left. A
        trial goes on."""
        if self.state in (_S.WANTED, _S.FETCHING):
            self._cancel()
            self._to(_S.WANTED)
        if self.state not in (_S.NONE, _S.ON_TRIAL, _S.LEAVING):
            self._cancelled = True
            self._board.slots.cancel()  # also of what an earlier process began

    # --- fetching -----------------------------------------------------------------------------

    def _fetch_offer(self) -> None:
        wanted, roots = self._wanted, self._roots
        assert wanted is not None
        key, read = store_keys.offer(wanted.sha256), self._board.uplink.read
        # Only an update needs what judges it: the recording process is short of memory.
        from bwv_device.camera.update.bundle_download import BundleDownload  # noqa: PLC0415
        from bwv_device.verification import software_offer  # noqa: PLC0415

        def judged() -> Release:
            return software_offer.judge(read(key, OFFER_LIMIT), wanted.sha256, roots)

        def done(outcome: Outcome) -> None:
            if self.state is not _S.FETCHING or self._wanted != wanted:
                return
            error = outcome.error
            if isinstance(error, OfferError):
                self._end("refused", f"the offer does not count: {error}")
            elif error is not None:
                self._try_later(error)
            elif outcome.value.release != wanted.release:
                self._end("refused", f"the bundle is release {outcome.value.release}")
            else:
                self._release = outcome.value
                self._fetch_bundle(BundleDownload(self._board.disk, read, outcome.value))

        self._line.submit(judged, done)

    def _fetch_bundle(self, download: BundleDownload) -> None:
        from bwv_device.camera.update.bundle_download import BundleError  # noqa: PLC0415

        wanted = self._wanted

        def done(outcome: Outcome) -> None:
            if self.state is not _S.FETCHING or self._wanted != wanted:
                return
            if not self._observer.may_update():
                self._to(_S.WANTED)
            elif isinstance(outcome.error, BundleError):
                self._misfetched(download, outcome.error)
            elif outcome.error is not None:
                self._try_later(outcome.error)
            elif outcome.value is None:
                self._end("failed", "there is no room for the bundle")
            elif outcome.value:
                self._note("fetched")
                self._install()
            else:
                self._fetch_bundle(download)

        self._line.submit(lambda: download.next_piece() if download.fits() else None, done)

    def _misfetched(self, download: BundleDownload, error: Exception) -> None:
        """Fetched once more from its beginning: a power cut may have spoilt what lay there."""
        self._misfetches += 1
        if self._misfetches > 1:
            self._end("refused", str(error))
        else:
            self._fetch_bundle(download)

    def _try_later(self, error: Exception) -> None:
        """Only a store that refuses for good is news."""
        if isinstance(error, StoreError) and error.trouble is StoreTrouble.REFUSED:
            self._end("refused", f"the store does not give it: {error}")
            return
        self._to(_S.WANTED)
        self._later(AGAIN_NS, self.look)

    # --- installing ---------------------------------------------------------------------------

    def _install(self) -> None:
        self._to(_S.INSTALLING)
        self._cancelled = False
        slots = self._board.slots

        def done(outcome: Outcome) -> None:
            if outcome.error is None:
                self._note("installed")
                self._to(_S.INSTALLED)
                self._start_other()
            elif self._cancelled or not self._observer.may_update():
                self._to(_S.WANTED)
                self._later(LOOK_NS, self.look)
            else:
                self._end("failed", str(outcome.error))

        self._work.submit(lambda: slots.install(BUNDLE), done)

    def _start_other(self) -> None:
        if not self._observer.may_update():
            self._later(LOOK_NS, self._start_other)
            return
        assert self._wanted is not None
        disk, wanted = self._board.disk, self._wanted._replace(started=True)
        self._to(_S.LEAVING)

        def written(outcome: Outcome) -> None:
            if outcome.error is not None:
                self._end("failed", str(outcome.error))
                return
            self._wanted = wanted
            self._note("started")
            self._observer.slot_wanted(other=True, reason=f"release {wanted.release} is tried")

        # Written before it happens, and not before it does: else what was never tried "returned".
        self._work.submit(lambda: wanted_file.write(disk, wanted), written)

    # --- on trial -----------------------------------------------------------------------------

    def _begin_trial(self) -> None:
        """Ready was reached: the vault is open. Now pictures."""
        from bwv_device.camera.update import self_test  # noqa: PLC0415 - as above

        self._to(_S.ON_TRIAL)
        group = self_test.PictureGroup()

        def take(batch: Sequence[AccessUnit]) -> None:
            self._work.run(lambda: taken(batch))

        def taken(batch: Sequence[AccessUnit]) -> None:
            if self.state is not _S.ON_TRIAL or group.whole:
                return
            try:
                group.take(batch)
                if group.whole:
                    self._give_back()
                    identity = age.generate_identity(self._recipient_type, self._board.entropy)
                    self_test.pass_through(group.units, self._board, identity)
                    self._keep()
            except ValueError as error:
                self._leave(str(error))

        self._later(PICTURES_NS, lambda: self._leave("no pictures come"))
        self._capture.borrow(take)

    def _keep(self) -> None:
        def kept(outcome: Outcome) -> None:
            if outcome.error is not None:
                self._leave(f"it can't be kept: {outcome.error}")
                return
            self._note("kept")  # of what was on trial, while it still is
            self.running = self._board.slots.running()
            self._forget()

        self._work.submit(self._board.slots.keep, kept)

    def _leave(self, reason: str) -> None:
        """The way back. A recording that runs is not ended for it."""
        if self.state is _S.ON_TRIAL:
            self._give_back()
            self._note("failed", reason)
            self._to(_S.LEAVING)
            self._leave_at_rest()

    def _leave_at_rest(self) -> None:
        if self._observer.at_rest():
            self._observer.slot_wanted(other=False, reason="the release on trial failed")
        else:
            self._later(LOOK_NS, self._leave_at_rest)

    def _give_back(self) -> None:
        self._cancel()
        self._capture.give_back()

    # --- what became of it --------------------------------------------------------------------

    def _end(self, step: str, reason: str) -> None:
        self._note(step, reason)
        self._forget()

    def _forget(self) -> None:
        self._wanted = self._release = None
        self._to(_S.NONE)
        self._work.submit(lambda: wanted_file.forget(self._board.disk), lambda outcome: None)

    def _note(self, step: str, reason: str = "") -> None:
        """`release`: of the update; on trial that which runs."""
        on_trial = self.state in (_S.ON_TRIAL, _S.LEAVING) and self.running.on_trial
        release = self._wanted.release if self._wanted and not on_trial else self.running.release
        self.last = f"{step}: {reason}" if reason else step
        self._vault_lane.note("update", release=release, step=step, reason=reason[:1000])

    def _to(self, state: UpdateState) -> None:
        self.state = state
        self._observer.update_changed()

    def _is_newer(self, release: str) -> bool:
        return release_numbers(release) > release_numbers(self.running.release)

    def _failed(self, error: Exception) -> None:
        """An unexpected error. A system on trial that meets one is not kept."""
        reason = f"{type(error).__name__}: {error}"
        if self.state is _S.ON_TRIAL:
            self._leave(reason)
        else:
            self._vault_lane.note("fault", part="update", reason=reason[:200])
            self._wanted, self.state = None, _S.NONE

    def _later(self, wait_ns: int, callback: Callable[[], None]) -> None:
        self._cancel()
        self._timer = self._loop.call_at(
            self._loop.now_ns() + wait_ns, lambda: self._work.run(callback)
        )

    def _cancel(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
