"""The index that several processes of custody share."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bwv_device.custody.ledger.index import Index
from bwv_device.custody.ledger.ledger import START, CustodyLedger
from hal.host import HostClock
from hal.ports import EvidenceStore
from hal.simulated.power_dock_and_place import SeededEntropy
from hal.simulated.store import MemoryStore
from sim.world.custody_workers import founded
from sim.world.test_keys import BenchAgency

TOGETHER, ROUNDS = 6, 15


def test_services_that_start_together_make_one_index(agency: BenchAgency, tmp_path: Path) -> None:
    """Intake and retention do: one once found the other's half-made tables, and ended."""
    for number in range(ROUNDS):
        store = founded(MemoryStore())
        ready = threading.Barrier(TOGETHER)

        def start(
            path: Path, ready: threading.Barrier = ready, store: EvidenceStore = store
        ) -> object:
            ledger = CustodyLedger(store, HostClock(), SeededEntropy("x"))
            ready.wait(30)
            index = Index(ledger, [agency.root], path)
            index.catch_up()
            return index.head

        with ThreadPoolExecutor(TOGETHER) as threads:
            path = tmp_path / f"{number}.sqlite"
            heads = list(threads.map(start, [path] * TOGETHER))
        assert heads == [START] * TOGETHER
        assert list(tmp_path.glob("*.damaged*")) == []
