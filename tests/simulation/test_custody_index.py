"""The index that several processes of custody share."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bwv_device.custody.ledger.index import Index
from bwv_device.custody.ledger.ledger import START, CustodyLedger
from bwv_device.custody.search import Wanted, count, find
from hal.host import HostClock
from hal.ports import SECOND_NS, EvidenceStore
from hal.simulated.power_dock_and_place import SeededEntropy
from hal.simulated.store import MemoryStore
from sim.custody.drawn_ledger import FIRST_NS, drawn_docking
from sim.world.custody_workers import founded, session
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


# --- finding --------------------------------------------------------------------------------------


def test_a_time_is_found_as_if_every_recording_had_been_looked_at(agency: BenchAgency) -> None:
    """Drawn recordings, short and long, of clocks that are sure, unsure, and know nothing."""
    draw = random.Random(5)
    desk = session(agency, founded(MemoryStore()), HostClock(), "intake", "intake")
    docking, _ = drawn_docking(1, 400)
    hour_ns = 3600 * SECOND_NS
    errors_ns = [0, SECOND_NS, hour_ns, 2 * hour_ns, 24 * hour_ns, 25 * hour_ns, 1 << 60]
    for said in docking["recordings"]:
        start_ns = FIRST_NS + draw.randrange(40 * 24) * hour_ns
        error_ns = draw.choice(errors_ns)
        end_ns = start_ns + draw.choice([60 * SECOND_NS, 12 * hour_ns])
        latest_ns = end_ns + min(error_ns, 50 * hour_ns)
        said |= {"start_ns": start_ns, "end_ns": end_ns, "error_ns": error_ns,
                 "latest_ns": latest_ns}  # fmt: skip
    desk.append(lambda: ("docking", docking))
    rows = desk.index.rows("SELECT * FROM recordings")
    found_some = 0
    for _ in range(200):
        from_ns = FIRST_NS + draw.randrange(-48, 42 * 24) * hour_ns
        to_ns = from_ns + draw.choice([1, 5 * hour_ns, 30 * hour_ns])
        wanted = Wanted(from_ns, to_ns, limit=1000)
        true = {
            row["id"] for row in rows
            if row["latest_ns"] >= from_ns
            and (row["start_ns"] - row["error_ns"] <= to_ns or row["error_ns"] > 24 * hour_ns)
        }  # fmt: skip
        found = find(desk, wanted)
        assert {row["id"] for row in found} == true
        assert count(desk, wanted) == len(true)
        starts = [row["start_ns"] for row in found]
        assert starts == sorted(starts)
        newest = find(desk, wanted._replace(limit=3))
        assert [row["start_ns"] for row in newest] == starts[-3:]
        found_some += bool(true)
    assert found_some > 150
    assert len(find(desk, Wanted(from_ns=FIRST_NS))) == len(
        [row for row in rows if row["latest_ns"] >= FIRST_NS]
    )
