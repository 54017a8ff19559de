"""Publishes the ledger's log: tiles, a signed checkpoint, and what witnesses say to it.

It runs beside intake and retention, and holds the log's key, which none of them has. A witness that
is away stops nothing: what it missed it cosigns when it is back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bwv_device.custody.history import published, standing
from bwv_device.custody.history.asking import cosign_by_all
from bwv_device.custody.history.witnesses import WitnessLine
from bwv_device.custody.ledger.index import Index
from bwv_device.custody.ledger.ledger import LINE_LIMIT
from bwv_device.errors import CustodyError
from bwv_device.formats import store_keys
from bwv_device.formats.upload_body import BytesBody
from bwv_device.verification.tlog import tiles
from bwv_device.verification.tlog.checkpoint import Checkpoint, SignedCheckpoint, sign
from bwv_device.verification.tlog.signed_note import SignerKey
from bwv_device.verification.tlog.tiles import TILE_WIDTH, Tile
from bwv_device.verification.trust_list import Trust
from hal.ports import SECOND_NS, Clock, EvidenceStore, StoreError, StoreTrouble

# A witness is asked again, with nothing new to say, so often within the outage that is allowed.
HEARTBEATS = 8


@dataclass(slots=True)
class LogRun:
    """What a publication came to: how long the log is now, which witnesses cosigned it, and what
    went wrong."""

    size: int = 0
    cosigned: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


class CustodyLog:
    """The log of one store."""

    def __init__(
        self,
        index: Index,
        store: EvidenceStore,
        clock: Clock,
        key: SignerKey,
        trust: Callable[[], Trust | None],
        line: WitnessLine,
    ) -> None:
        self._index, self._store, self._clock = index, store, clock
        self._key, self._trust, self._line = key, trust, line
        self._tiled = 0
        self._seen_by: dict[str, int] = {}  # how much of the log a witness has seen

    def publish(self) -> LogRun:
        """All that is new. Raises `CustodyError` where the ledger is not what others have seen, or
        the key is not the log's; `StoreError`."""
        self._index.catch_up()
        trust = self._trust()
        if trust is None:
            raise CustodyError("The ledger has no trust list.", "Make one: bwv custody init.")
        if trust.log != self._key.verifier:
            raise CustodyError(
                "This is not the key of the store's log.", "Give the one that 'init' made."
            )
        published.learn(self._index, self._store, trust)
        run = LogRun(self._index.tree.size)
        if (
            not run.size
            or standing.contradictions(self._index)
            or not self._is_due(run.size, trust)
        ):
            # What witnesses objected to without signing it is asked again.
            standing.refuse_contradictions(self._index)
            return run
        self._write_tiles(run)
        checkpoint = Checkpoint(trust.origin, run.size, self._index.tree.root(run.size))
        plain = sign(checkpoint, self._key)
        # Before a witness sees it: who asks the witness must find in the store what it has seen.
        self._write(plain, 0)
        signed = self._cosigned(plain, trust, run)
        if run.cosigned:
            self._write(signed, self._now_s())
        self._point_to(signed)
        standing.remember(
            self._index, checkpoint, published.SOURCE, published.quorum_s(signed, trust)
        )
        standing.refuse_contradictions(self._index)
        return run

    def _is_due(self, size: int, trust: Trust) -> bool:
        """New lines; a quorum that has not seen them; or nothing for a while."""
        known = [seen for seen in standing.seen(self._index) if seen.size == size]
        if not known or not trust.quorum:
            return not known
        age_s = self._now_s() - standing.newest_cosigned_s(self._index)
        return not known[0].utc_s or age_s >= trust.outage_s // HEARTBEATS

    # --- tiles --------------------------------------------------------------------------------

    def _write_tiles(self, run: LogRun) -> None:
        """Full tiles for ever; partial ones of this size."""
        tree = self._index.tree
        for tile in tiles.new_tiles(self._tiled, run.size):
            self._put(tile.path, tree.hashes(*tile), run)
            if tile.level == 0:
                entries = tree.entries(tile.position, tile.width)
                self._put(tiles.entries_path(*tile[1:]), tiles.bundle(entries), run)
                if tile.width == TILE_WIDTH:
                    self._bundle_lines(tile, run)
        self._tiled = run.size

    def _bundle_lines(self, tile: Tile, run: LogRun) -> None:
        """The lines themselves, for whoever reads all of them."""
        first = tile.position * TILE_WIDTH
        after = store_keys.line(first)
        lines = []
        for stored in self._store.entries(store_keys.LINES, after):
            number = store_keys.parse_line(stored.key)
            if number is None or number > first + TILE_WIDTH:
                break
            if self._index.row("SELECT 1 FROM lines WHERE n = ? AND by != ''", number):
                lines.append(self._store.read(stored.key, LINE_LIMIT))
        self._create(store_keys.lines_bundle(tile.position), b"".join(lines), run)

    def _put(self, path: str, data: bytes, run: LogRun) -> None:
        self._create(store_keys.log_file(path), data, run)

    def _create(self, key: str, data: bytes, run: LogRun) -> None:
        """What somebody else laid there is put right, and told."""
        try:
            self._store.create(key, BytesBody(data))
        except StoreError as error:
            if error.trouble is not StoreTrouble.EXISTS:
                raise
            if self._holds(key, data):
                return
            run.troubles.append(f"{key} was not the log's, and is written anew")
            self._store.free(key)
            self._store.create(key, BytesBody(data))

    def _holds(self, key: str, data: bytes) -> bool:
        try:
            return self._store.read(key, len(data)) == data
        except StoreError as error:
            if error.trouble not in (StoreTrouble.MISSING, StoreTrouble.REFUSED):
                raise
            return False

    # --- checkpoints --------------------------------------------------------------------------

    def _cosigned(self, signed: SignedCheckpoint, trust: Trust, run: LogRun) -> SignedCheckpoint:
        """With everything that the witnesses sign. One that objects is only told where a quorum of
        others has seen this very ledger."""
        asked = cosign_by_all(self._line, self._index, signed, trust, self._seen_by)
        for name in asked.cosigned:
            self._seen_by[name] = signed.checkpoint.size
        run.cosigned, run.troubles = (
            asked.cosigned,
            run.troubles + asked.objections + asked.troubles,
        )
        signed = asked.signed or signed
        reached = published.quorum_s(signed, trust) > 0
        standing.witnesses_say(self._index, "" if reached else "; ".join(asked.objections))
        return signed

    def _write(self, signed: SignedCheckpoint, utc_s: int) -> None:
        """`utc_s` is when witnesses were asked; 0 before that."""
        key = store_keys.checkpoint(signed.checkpoint.size, utc_s)
        try:
            self._store.create(key, BytesBody(bytes(signed)))
        except StoreError as error:
            if error.trouble is not StoreTrouble.EXISTS:
                raise

    def _point_to(self, signed: SignedCheckpoint) -> None:
        """For readers of tlog-tiles, who know one name."""
        self._store.free(store_keys.CHECKPOINT)
        self._store.create(store_keys.CHECKPOINT, BytesBody(bytes(signed)))

    def _now_s(self) -> int:
        return self._clock.utc().utc_ns // SECOND_NS
