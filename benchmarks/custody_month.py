"""`month-of-London`: custody's ledger at the size of a force, drawn: one docking and one intake
line for each eight recordings, decisions in batches, every signature made and checked.

    python -m benchmarks.custody_month [RECORDINGS]
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509

from benchmarks.goal import Line, at_most, plain
from bwv_device.custody.ledger.index import Index
from bwv_device.custody.ledger.ledger import START, CustodyLedger, Place, parse, signed_line
from bwv_device.custody.retention.deletion import Expiry
from bwv_device.custody.search import Wanted, count, find
from bwv_device.custody.session import CustodySession
from bwv_device.formats import statement, store_keys
from bwv_device.formats.ledger_lines import Head
from hal.host import HostClock, HostEntropy
from hal.ports import SECOND_NS, Clock, Stored, UtcReading
from hal.simulated.power_dock_and_place import SeededEntropy
from hal.simulated.store import MemoryStore
from hal.stores.directory import DirectoryStore
from sim.custody.drawn_ledger import content, drawn_docking
from sim.world.custody_workers import founded, role, session
from sim.world.test_keys import BenchAgency
from sim.world.world import EPOCH_UTC_NS

RECORDINGS, ROWS, OF_A_DOCKING, BUNDLE = 1_000_000, 5_500_000, 8, 256
DAY_NS = 86_400 * SECOND_NS
# Of a directory: hidden in one run, extrapolated to the goal.
HIDDEN, HIDING_GOAL_S = 20_000, 30 * 60
QUESTIONS, SEARCH_GOAL_MS = 40, 80.0
REQUEST_S, APPENDED = 0.02, 200
# Lines a second: 22,000 dockings a day, two lines each, half of them in one hour.
PEAK, SPARE = 22_000 / 3600, 5


class Later(NamedTuple):
    """A clock that stands at a day."""

    utc_ns: int

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def utc(self) -> UtcReading:
        return UtcReading(self.utc_ns, 0, "ntp")


# --- rebuild --------------------------------------------------------------------------------------


def rebuilt(recordings: int = RECORDINGS) -> Iterator[Line]:
    """An index from nothing, from bundles of lines in memory: what is measured is ours."""
    agency = BenchAgency()
    store, lines = _drawn(agency, recordings)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "index.sqlite")
        ledger = CustodyLedger(store, HostClock(), SeededEntropy("x"))
        index = Index(ledger, [agency.root], path)
        before_mb, began = _peak_mb(), time.monotonic()
        index.catch_up()
        took_s = time.monotonic() - began
        row = index.row("SELECT count(*) AS n FROM recordings")
        assert row is not None
        assert (row["n"], index.head.number) == (recordings, lines)
        grown_mb = max(0.0, _peak_mb() - before_mb)
        size_mb = path.stat().st_size / 1e6
    yield plain("lines, each signed", f"{lines:,}")
    yield at_most(
        f"index of {recordings:,} recordings, built anew",
        round(took_s, 1), 60 * recordings / 1e6, " s",
    )  # fmt: skip
    yield at_most("memory that took, beyond the drawn store", round(grown_mb), 500, " MB")
    yield plain("the index's file", f"{size_mb:,.0f} MB")


def _drawn(agency: BenchAgency, recordings: int) -> tuple[MemoryStore, int]:
    """A store whose lines are bundled as the log does it."""
    store, signer = founded(MemoryStore()), role(agency, "intake", "intake")
    own = x509.load_pem_x509_certificates(signer.certificate_pem)[0]
    by, head, bundle, utc_ns = statement.fingerprint(own), START, list[bytes](), EPOCH_UTC_NS

    def write(kind: str, fields: Mapping[str, Any]) -> None:
        nonlocal head, utc_ns
        utc_ns += SECOND_NS // 100
        first = {} if head.number else {"certificate": signer.certificate_pem.decode("ascii")}
        raw = signed_line(signer, Place(head, 0, 0), kind, {**fields, **first}, by, utc_ns)
        line = parse(raw)
        head = Head(line.number, line.digest)
        store.objects[store_keys.line(line.number)] = raw
        bundle.append(raw)
        if len(bundle) == BUNDLE:
            key = store_keys.lines_bundle(head.number // BUNDLE - 1)
            store.objects[key] = b"".join(bundle)
            bundle.clear()

    for camera in range(recordings // OF_A_DOCKING):
        docking, intake = drawn_docking(camera, OF_A_DOCKING, EPOCH_UTC_NS)
        write("docking", docking)
        write("intake", intake)
    return store, head.number


# --- hiding ---------------------------------------------------------------------------------------


def hiding(recordings: int = HIDDEN) -> Iterator[Line]:
    """One run that hides what is due, in a directory, beside as much that is not."""
    agency = BenchAgency()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "store")
        root.mkdir(mode=0o700)
        store = founded(DirectoryStore(root))
        now = Later(EPOCH_UTC_NS + DAY_NS)
        desk = session(agency, store, now, "intake", "intake")
        for camera in range(2 * recordings // 250):
            old = camera < recordings // 250
            began_ns = EPOCH_UTC_NS - (20 if old else 0) * DAY_NS
            docking, intake = drawn_docking(camera, 250, began_ns, SECOND_NS // 1000)
            desk.append(lambda said=docking: ("docking", said))  # type: ignore[misc]
            desk.append(lambda said=intake: ("intake", said))  # type: ignore[misc]
            for number, file in enumerate(intake["files"] if old else ()):
                path = root / file["key"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content(camera, number))
        later = Later(EPOCH_UTC_NS + 6 * DAY_NS)
        service = session(agency, store, later, "retention", "retention")
        service.index.catch_up()
        began = time.monotonic()
        done = Expiry(service, at_once=16).run()
        took_s = time.monotonic() - began
    assert len(done.hidden) == recordings
    yield plain(f"hiding {recordings:,} recordings in a directory", f"{took_s:.0f} s")
    yield at_most(
        "hiding 1,000,000, extrapolated", round(took_s * 1e6 / recordings), HIDING_GOAL_S, " s"
    )


# --- searching ------------------------------------------------------------------------------------


def searching(rows: int = ROWS) -> Iterator[Line]:
    """Interactive questions to an index of a month; its rows are drawn by the database itself."""
    agency = BenchAgency()
    with tempfile.TemporaryDirectory() as folder:
        desk = CustodySession(
            founded(MemoryStore()), HostClock(), role(agency, "Ada", "custodian"), [agency.root],
            session(agency, founded(MemoryStore()), HostClock(), "a", "auditor").configured,
            HostEntropy(), Path(folder, "index.sqlite"),
        )  # fmt: skip
        desk.index.catch_up()
        _fill(desk.index, rows)
        slowest: dict[str, float] = {}
        for what, ask in _questions(desk).items():
            took = sorted(_ms(ask) for _ in range(QUESTIONS))
            slowest[what] = took[int(len(took) * 0.95) - 1]
    for what, ms in slowest.items():
        yield at_most(f"{what}, p95 over {rows:,} rows", round(ms, 1), SEARCH_GOAL_MS, " ms")


def _fill(index: Index, rows: int) -> None:
    """22,000 cameras and officers, a month; one in a hundred held, one in fifty marked."""
    with index.db:
        index.db.execute(
            "WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < ?1 - 1) "
            "INSERT INTO recordings (id, device, recording, officer, trigger_, start_ns, end_ns, "
            "error_ns, latest_ns, received_ns, category, due_day) SELECT "
            "printf('cam-%05d/%08d-0001', i % 22000, i), printf('cam-%05d', i % 22000), "
            "printf('%08d-0001', i), printf('PC %d', i % 22000), 'start', "
            "?2 + i * (?3 / ?1), ?2 + i * (?3 / ?1) + 600000000000, 1000000000, "
            "?2 + i * (?3 / ?1) + 601000000000, ?2 + i * (?3 / ?1) + 40000000000000, "
            "CASE i % 100 WHEN 0 THEN 'evidence' ELSE 'unreviewed' END, 739700 + i % 31 FROM c",
            (rows, EPOCH_UTC_NS, 31 * DAY_NS),
        )
        index.db.execute(
            "INSERT INTO holds (n, recording, reason, case_, request) SELECT rowid, id, "
            "'evidence', 'case', '' FROM recordings WHERE rowid % 100 = 0"
        )
        index.db.execute(
            "INSERT INTO markers SELECT id, 'informed', start_ns FROM recordings WHERE "
            "rowid % 50 = 0"
        )
        index.db.execute("INSERT INTO meta VALUES ('longest', '601000000000')")
    index.db.execute("ANALYZE")


def _questions(desk: CustodySession) -> dict[str, Callable[[], object]]:
    draw = random.Random(1)

    def hour() -> tuple[int, int]:
        from_ns = EPOCH_UTC_NS + draw.randrange(30 * 24) * 3600 * SECOND_NS
        return from_ns, from_ns + 3600 * SECOND_NS

    def camera() -> str:
        return f"cam-{draw.randrange(22_000):05d}"

    return {
        "one camera": lambda: find(desk, Wanted(device=camera())),
        "an officer in an hour": lambda: find(
            desk, Wanted(*hour(), officer=f"PC {draw.randrange(22_000)}")
        ),
        "everything in an hour, the newest 1,000": lambda: find(desk, Wanted(*hour())),
        "how many in an hour": lambda: count(desk, Wanted(*hour())),
        "a category in an hour": lambda: find(desk, Wanted(*hour(), category="evidence")),
        "marked in an hour": lambda: find(desk, Wanted(*hour(), marker="informed")),
        "held in an hour": lambda: find(desk, Wanted(*hour(), held=True)),
        "the newest 1,000 of all": lambda: find(desk, Wanted()),
    }


def _ms(ask: Callable[[], object]) -> float:
    began = time.monotonic()
    ask()
    return (time.monotonic() - began) * 1000


# --- a store that takes its time ------------------------------------------------------------------


class SlowStore(MemoryStore):
    """Each request takes 20 ms; it counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = 0

    def wait(self) -> None:
        self.requests += 1
        time.sleep(REQUEST_S)

    def create(self, key: str, body: Any) -> None:
        self.wait()
        super().create(key, body)

    def read(self, key: str, limit: int) -> bytes:
        self.wait()
        return super().read(key, limit)

    def entries(self, prefix: str, after: str = "") -> Iterator[Stored]:
        self.wait()
        yield from super().entries(prefix, after)


def appending(lines: int = APPENDED) -> Iterator[Line]:
    """Lines of one writer, one after another, with 20 ms for each request."""
    agency, store = BenchAgency(), founded(SlowStore())
    clock: Clock = HostClock()
    desk = session(agency, store, clock, "Ada", "custodian")
    said = {"device": "cam", "reason": "lost"}
    desk.append(lambda: ("revoke", said))
    before, began = store.requests, time.monotonic()
    for number in range(lines):
        text = f"cam-{number}"
        desk.append(lambda text=text: ("issue", {"device": text, "officer": "x", "version": 1}))  # type: ignore[misc]
    took_s, asked = time.monotonic() - began, store.requests - before
    yield at_most("requests a line", round(asked / lines, 2), 2, "")
    yield plain("lines a second, one writer, 20 ms a request", f"{lines / took_s:.0f}")
    spare = lines / took_s / PEAK
    yield Line(
        "one writer to a London's busiest hour", f"{spare:.1f} ×", f"≥ {SPARE} ×", spare >= SPARE
    )


def racing(writers: int = 16, seconds: float = 10.0) -> Iterator[Line]:
    """The same with many writers that race for the next number."""
    agency, store = BenchAgency(), founded(SlowStore())
    session(agency, store, HostClock(), "Ada", "custodian").append(
        lambda: ("revoke", {"device": "cam", "reason": "lost"})
    )
    ends, written = time.monotonic() + seconds, [0] * writers

    def write(number: int) -> None:
        desk = session(agency, store, HostClock(), f"writer {number}", "custodian")
        while time.monotonic() < ends:
            said = {"device": f"{number}-{written[number]}", "officer": "x", "version": 1}
            desk.append(lambda said=said: ("issue", said))  # type: ignore[misc]
            written[number] += 1

    threads = [threading.Thread(target=write, args=(n,)) for n in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = sum(written) / seconds
    yield plain(f"lines a second, {writers} writers", f"{rate:.0f}")
    yield plain("fewest and most by a writer", f"{min(written)} and {max(written)}")
    yield plain("these to a London's busiest hour", f"{rate / PEAK:.1f} ×")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def everything(recordings: int = RECORDINGS) -> Iterator[Line]:
    """For `make bench`."""
    yield from rebuilt(recordings)
    yield from hiding()
    yield from searching()
    yield from appending()
    yield from racing()


def main() -> None:
    """`python -m benchmarks.custody_month [RECORDINGS]`."""
    recordings = int(sys.argv[1]) if len(sys.argv) > 1 else RECORDINGS
    for line in everything(recordings):
        print(line, flush=True)


if __name__ == "__main__":
    main()
