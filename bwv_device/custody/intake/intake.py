"""Intake: verifies delivered files with public keys alone, reads them again, and issues receipts.

The custody ledger decides. A worker that dies leaves nothing half done: its lines stand, the next
worker does the rest, and receipts follow from the lines.

Each docking is a task of its own. Whatever goes wrong in one puts that one into quarantine, with
the name of what went wrong, and the next one goes on. What carries no camera's signature is put out
of sight and counted; it never becomes a ledger line.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509

from bwv_device.custody.history import published, standing
from bwv_device.custody.intake.camera_ledger_check import Judged, judge
from bwv_device.custody.intake.claims import Claims
from bwv_device.custody.intake.file_intake import FLAGGED, FileIntake
from bwv_device.custody.intake.ledger_pieces import Pieces
from bwv_device.custody.intake.results import Done, ReplicaStore
from bwv_device.custody.intake.voice import Voice
from bwv_device.custody.requests.public_requests import unheld
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from bwv_device.formats import statement, store_keys
from bwv_device.formats.grammar.purposes import GREETING
from bwv_device.formats.grammar.statements import CHECKPOINT_LIMIT, Docking
from bwv_device.formats.statement import StatementError
from bwv_device.formats.store_keys import DockingKey
from hal.ports import SECOND_NS, Stored, StoreError, StoreTrouble

DAY_NS = 86_400 * SECOND_NS
# Of one camera: dockings looked at in one pass, and refused ones that the ledger speaks of in a
# day. A camera docks some times a day; who has its key could dock a thousand times.
DOCKINGS_PER_PASS, REFUSED_PER_DAY = 8, 24
# Answers of the store that are about everything, not about one docking.
EVERYBODYS = (StoreTrouble.TRANSIENT, StoreTrouble.FULL)


class Intake:
    """One worker. `once` looks at every docking that is not finished."""

    def __init__(
        self,
        session: CustodySession,
        roots: Sequence[x509.Certificate],
        worker: str,
        replicas: Sequence[ReplicaStore] = (),
        clock_error_ns: int = SECOND_NS,
        heads: Path | None = None,
    ) -> None:
        """`heads`: what a watch over MQTT keeps (`bwv_device.fleet.kept_heads`)."""
        self.session, self._roots = session, list(roots)
        self._clock_error_ns = clock_error_ns
        self._store, self._heads = session.store, heads
        self._voice = Voice(session)
        self._files = FileIntake(session, self._voice, replicas)
        self._claims = Claims(session.store, worker, session.now_ns)
        self._held_at = 0
        self._passed: dict[str, str] = {}  # by camera: the last docking that a pass looked at

    def once(self) -> Done:
        """Raises `StoreError` where the store does not answer, once all dockings were tried;
        nothing is half done then."""
        done, trouble = Done(), None
        looked_at: Counter[str] = Counter()
        passed, self._passed = self._passed, {}
        self._take_in_again()
        for stored in self._store.entries(store_keys.DOCKINGS):
            key = store_keys.parse_docking(stored.key)
            try:
                if key is None or stored.length > statement.SIZE_LIMIT:
                    self._put_away(stored, done)
                    continue
                # The next pass goes on where this one ends: what waits holds up nobody.
                if stored.key <= passed.get(key.device, ""):
                    continue
                looked_at[key.device] += 1
                if looked_at[key.device] > DOCKINGS_PER_PASS:
                    continue
                if looked_at[key.device] == DOCKINGS_PER_PASS:
                    self._passed[key.device] = stored.key
                if self._claims.take(*key):
                    done.dockings += 1
                    self._one(key, stored, done)
            except StoreError as error:
                # Another worker finished it meanwhile; the others are worked on all the same.
                if error.trouble is not StoreTrouble.MISSING:
                    done.troubles.append(f"{stored.key}: {error}")
                    trouble = error
        if trouble is not None and trouble.trouble in EVERYBODYS:
            raise trouble
        self._hold_requested()
        return done

    def _take_in_again(self) -> None:
        """Dockings that a person sent back from quarantine: they are seen again."""
        self.session.index.catch_up()
        back = (
            "SELECT key FROM quarantine WHERE again IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "
            "dockings WHERE 'dockings/' || device || '/' || nonce = key)"
        )
        for row in self.session.index.rows(back):
            self._store.unhide(row["key"])

    def _hold_requested(self) -> None:
        """What an open request asks for is held, whoever was interrupted: once for all, and then
        for requests that are new. What comes later is held when it comes."""
        head = self.session.index.catch_up().head
        if head.number == self._held_at:
            return
        for recording, request in unheld(self.session, self._held_at):
            self.session.hold(recording, f"request {request}", request=request)
        self._held_at = head.number

    # --- one docking ----------------------------------------------------------------------------

    def _one(self, key: DockingKey, stored: Stored, done: Done) -> None:
        """The boundary of one docking. Raises `StoreError`, and `CustodyError` where the custody
        ledger itself is broken."""
        try:
            data = self._store.read(stored.key, statement.SIZE_LIMIT)
            docking = statement.of_camera(data, Docking, key.device, self._roots).value
            if docking.nonce != key.nonce:
                raise StatementError("is for another docking")
        except StatementError as error:
            # Anybody may have written it: the camera hears of it, the ledger does not.
            self._voice.refuse_file(*key, "", f"the docking {error}")
            self._put_away(stored, done, f"the docking {error}")
            return
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - the parser's own fault must stop nothing else
            self._put_away(stored, done, f"{type(error).__name__}: {error}")
            return
        try:
            self._work(docking, stored.key, done)
        except (StoreError, CustodyError):
            raise
        except (OSError, sqlite3.OperationalError) as error:
            # This machine's trouble, not the docking's: a full disk, a locked index.
            done.troubles.append(f"{stored.key}: {type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - the boundary between dockings
            self._refuse(docking, f"unexpected: {type(error).__name__}: {error}"[:500], done)

    def _work(self, docking: Docking, key: str, done: Done) -> None:
        device, nonce = docking.device, docking.nonce
        self.session.index.catch_up()
        camera = self.session.index.row("SELECT * FROM cameras WHERE device = ?", device)
        if camera is not None and camera["revoked"]:
            self._refuse(docking, f"the camera is revoked: {camera['revoked']}", done)
            return
        self._greet(docking, camera, done)
        if not self._accepted(docking, done):
            return
        waiting = self._files.receive(docking, done)
        newest = self.session.index.row("SELECT number FROM cameras WHERE device = ?", device)
        superseded = newest is not None and newest["number"] > docking.anchor.number
        if not waiting or superseded:
            self._store.erase(key)
            self._files.forget(device, nonce)
            self._claims.forget(device, nonce)

    def _greet(self, docking: Docking, camera: Mapping[str, Any] | None, done: Done) -> None:
        fields = {
            "device": docking.device,
            "nonce": docking.nonce,
            "utc_ns": self.session.now_ns(),
            "error_ns": self._clock_error_ns,
            "ledger": {
                "boot": camera["boot"] if camera else 0,
                "length": camera["length"] if camera else 0,
            },
            "assignment": camera["version"] if camera else 0,
            "checkpoint": self._checkpoint(),
        }
        if self._voice.say(store_keys.greeting(docking.device, docking.nonce), GREETING, fields):
            done.greeted += 1

    def _checkpoint(self) -> str:
        """The newest of custody's log: each camera is a witness of it."""
        index, store = self.session.index, self._store
        published.learn(index, store, self.session.trust())
        data = published.newest(index, store) or b""
        return data.decode("utf-8", "replace") if len(data) <= CHECKPOINT_LIMIT else ""

    def _accepted(self, docking: Docking, done: Done) -> bool:
        """Whether the ledger that came with it was judged and holds. False while it is not all
        there, or where it was refused."""
        device, nonce = docking.device, docking.nonce
        known = self._known(docking)
        if known is None:
            pieces = Pieces(self.session.index, self._store, device, nonce)
            if pieces.number > docking.anchor.number and not pieces.new:
                # Taken off the dock before it said anything, and docked again since.
                self._store.erase(store_keys.docking(device, nonce))
                return False
            if not pieces.complete(docking.ledgers):
                return False
            judged = judge(docking, pieces, self.session, self._roots, self._heads)
            standing.refuse_contradictions(self.session.index)
            if judged.problems:
                self._refuse(docking, "; ".join(judged.problems[:3]), done)
                return False
            self._append_docking(docking, judged)
            self._hold_flagged(device, judged.fields.get("flagged", []))
            known = self._known(docking)
        return known is not None and not known["refused"]

    def _known(self, docking: Docking) -> Mapping[str, Any] | None:
        return self.session.index.row(
            "SELECT * FROM dockings WHERE device = ? AND nonce = ?", docking.device, docking.nonce
        )

    def _append_docking(self, docking: Docking, judged: Judged) -> None:
        def decide() -> tuple[str, Mapping[str, Any]] | None:
            if self._known(docking) is not None:
                return None
            camera = self.session.index.row(
                "SELECT number FROM cameras WHERE device = ?", docking.device
            )
            if camera is not None and camera["number"] != judged.judged_from:
                return None  # another docking of this camera came in between: judged anew
            about = {"device": docking.device, "nonce": docking.nonce}
            return "docking", {**judged.fields, **about}

        self.session.append(decide)

    def _hold_flagged(self, device: str, names: Sequence[str]) -> None:
        """Flagged after it was brought in: by a command, or late."""
        for name in names:
            row = self.session.index.row(
                "SELECT 1 FROM recordings WHERE id = ? AND erasing IS NULL", f"{device}/{name}"
            )
            if row is not None:
                self.session.hold(f"{device}/{name}", FLAGGED, request="flag")

    # --- refusing -------------------------------------------------------------------------------

    def _put_away(self, stored: Stored, done: Done, reason: str = "") -> None:
        """Out of sight, without a line: nobody signed it."""
        reason = reason or ("it is too long" if store_keys.parse_docking(stored.key) else "its key")
        done.strange.append(f"{stored.key}: {reason}")
        self._store.hide(stored.key)

    def _refuse(self, docking: Docking, reason: str, done: Done) -> None:
        """The whole docking of a camera: nothing of it is receipted, all of it is kept, and the
        camera hears why."""
        device, nonce = docking.device, docking.nonce
        key = store_keys.docking(device, nonce)

        def decide() -> tuple[str, Mapping[str, Any]] | None:
            refused = self.session.index.rows(
                "SELECT 1 FROM dockings JOIN lines ON lines.n = dockings.n "
                "WHERE device = ? AND dockings.refused != '' AND utc_ns > ?",
                device, self.session.now_ns() - DAY_NS,
            )  # fmt: skip
            if self._known(docking) is not None or len(refused) >= REFUSED_PER_DAY:
                return None
            return "docking", {"device": device, "nonce": nonce, "refused": reason}

        done.refused.append(f"{device}: {reason}")
        if self.session.append(decide) is not None:
            done.quarantined += 1
            self._voice.quarantine(device, "", reason, key)
        self._voice.refuse_file(device, nonce, "", reason)
        self._store.hide(key)
