"""Claims keep workers from doing the same work at once. That nothing is recorded twice does not
rest on them.
"""

from __future__ import annotations

from collections.abc import Callable

from bwv_device.custody.intake.voice import create_once
from bwv_device.formats import store_keys
from bwv_device.formats.upload_body import BytesBody
from hal.ports import SECOND_NS, EvidenceStore, StoreError, StoreTrouble

# How long a worker that claimed a docking may be silent before another takes it over.
CLAIM_NS = 300 * SECOND_NS
CLAIM_BYTES = 256


class Claims:
    """One worker's. `worker` is its name, without a space."""

    def __init__(self, store: EvidenceStore, worker: str, now_ns: Callable[[], int]) -> None:
        self._store, self._worker, self._now_ns = store, worker, now_ns
        self._generations: dict[tuple[str, str], int] = {}

    def take(self, device: str, nonce: str) -> bool:
        """Whether this worker may work on a docking."""
        now_ns, generation = self._now_ns(), self._generations.get((device, nonce), 0)
        while True:
            key = store_keys.claim(device, nonce, generation)
            self._generations[device, nonce] = generation
            held = self._held(key)
            if held is None:
                if create_once(self._store, key, BytesBody(f"{now_ns} {self._worker}".encode())):
                    return True
                continue
            since_ns, worker = held
            if worker == self._worker and now_ns - since_ns < CLAIM_NS // 2:
                return True
            if worker != self._worker and 0 <= now_ns - since_ns < CLAIM_NS:
                return False
            generation += 1

    def forget(self, device: str, nonce: str) -> None:
        self._generations.pop((device, nonce), None)

    def _held(self, key: str) -> tuple[int, str] | None:
        """Since when, and by whom; what can't be read is nobody's, long ago."""
        try:
            since, _, worker = self._store.read(key, CLAIM_BYTES).partition(b" ")
        except StoreError as error:
            if error.trouble is StoreTrouble.MISSING:
                return None
            if error.trouble is StoreTrouble.REFUSED:
                return 0, ""
            raise
        if not 0 < len(since) <= 20 or not since.isdigit():
            return 0, ""
        return int(since), worker.decode("ascii", "replace")
