"""Custody's history that others have seen: forgeries, witnesses that are away or lie, junk, and
whose word counts."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.camera_bench import make_camera
from support.write_anyway import write_anyway

from bwv_device.custody.history import asking, standing
from bwv_device.custody.history.verdict import judge
from bwv_device.custody.ledger.index import Index
from bwv_device.custody.ledger.ledger import CustodyLedger
from bwv_device.custody.ledger.store_identity import make_identity, read_identity
from bwv_device.custody.requests import search_certificate
from bwv_device.custody.retention.deletion import Expiry
from bwv_device.custody.role_keys import ending
from bwv_device.errors import BwvError, CustodyError, EvidenceStoreError
from bwv_device.formats import store_keys
from bwv_device.formats.statement import StatementError
from bwv_device.formats.upload_body import BytesBody
from bwv_device.verification.tlog import merkle_tree
from bwv_device.verification.tlog.checkpoint import read_signed
from bwv_device.verification.trust_list import read_trust_list
from bwv_device.witness.witness import Reply
from hal.ports import SECOND_NS, Stored
from hal.simulated.power_dock_and_place import SeededEntropy
from hal.simulated.store import MemoryStore
from hal.stores.directory import DirectoryStore
from sim.custody.witness import WorldWitness
from sim.custody.witnessed_store import WitnessedStore
from sim.sweeps import custody_forgeries
from sim.world.custody_workers import BenchClock, BenchCustody
from sim.world.test_keys import BenchAgency
from sim.world.virtual_loop import VirtualLoop

HOUR_NS = 3600 * SECOND_NS
FORGED = 60
Make = Callable[..., WitnessedStore]


@pytest.fixture
def clock() -> BenchClock:
    return BenchClock(VirtualLoop())


@pytest.fixture
def witness(clock: BenchClock) -> WorldWitness:
    return WorldWitness("ombudsman.example/w1", clock)


@pytest.fixture
def it(agency: BenchAgency, clock: BenchClock, witness: WorldWitness) -> WitnessedStore:
    return WitnessedStore(agency, MemoryStore(), clock, [witness])


def revoke(it: WitnessedStore, camera: str, name: str = "Ada") -> None:
    it.session(name, "custodian").append(lambda: ("revoke", {"device": camera, "reason": "lost"}))


def objects(it: WitnessedStore) -> dict[str, bytes]:
    assert isinstance(it.store, MemoryStore)
    return it.store.objects


def sentences(it: WitnessedStore) -> list[str]:
    session = it.session("Eve", "auditor")
    session.index.catch_up()
    trust, now_ns = session.trust(), session.now_ns()
    return judge(session.index, it.store, trust, now_ns, it.line).problems


# --- forgeries ------------------------------------------------------------------------------------


def test_no_drawn_forgery_passes_an_audit_with_a_witness() -> None:
    drawn = custody_forgeries.forgeries(1, FORGED)
    assert [forgery.what for forgery in drawn if not forgery.found] == []
    kinds = Counter(forgery.what.split(" ")[-1] for forgery in drawn)
    assert len(kinds) >= 6, "every kind was drawn"


def test_without_a_witness_the_same_audit_sees_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: it is the witness's word that finds them."""
    monkeypatch.setattr(asking, "ask_all", lambda *_: asking.Asked())
    monkeypatch.setattr(standing, "contradictions", lambda index: [])
    drawn = custody_forgeries.forgeries(1, FORGED)
    assert sum(not forgery.found for forgery in drawn) > FORGED // 4


def test_a_reader_remembers_what_it_saw_when_the_store_forgets(it: WitnessedStore) -> None:
    revoke(it, "cam-1")
    revoke(it, "cam-2")
    it.publish()
    reader = it.session("Eve", "auditor")
    reader.check()
    del objects(it)[store_keys.line(3)]
    with pytest.raises(CustodyError, match="log has seen line 3|w1 has seen line 3"):  # noqa: RUF043
        it.session("Ben", "auditor").append(lambda: ("search", {"request": "", "found": []}))
    assert any("line 3" in said for said in sentences(it))
    it.clock.ahead_ns += 10 * SECOND_NS
    reader.index._looked_ns = None
    with pytest.raises(CustodyError, match="line 3 was read before"):
        reader.check()


def test_a_reader_that_kept_a_checkpoint_refuses_a_store_that_lost_its_log(
    it: WitnessedStore, agency: BenchAgency
) -> None:
    revoke(it, "cam-1")
    revoke(it, "cam-2")
    it.publish()
    ledger = CustodyLedger(it.store, it.clock, SeededEntropy("x"))
    index = Index(ledger, [agency.root])
    index.catch_up()
    trust = read_trust_list(it.trust_list, [agency.root])
    signed = read_signed(objects(it)[store_keys.CHECKPOINT], trust.log)
    standing.remember(index, signed.checkpoint, "camera cam-7")
    for key in [k for k in objects(it) if k.startswith((store_keys.LOG, store_keys.line(3)))]:
        del objects(it)[key]
    index.rebuild()
    with pytest.raises(CustodyError, match="camera cam-7 has seen line 3"):
        standing.refuse_contradictions(index)


# --- witnesses ------------------------------------------------------------------------------------


def test_a_witness_that_is_away_stops_nothing_and_cosigns_the_rest(
    it: WitnessedStore, witness: WorldWitness, clock: BenchClock
) -> None:
    revoke(it, "cam-1")
    it.publish()
    witness.away = True
    for number in range(2, 6):
        clock.ahead_ns += 6 * HOUR_NS
        revoke(it, f"cam-{number}")
        run = it.publish()
        assert (run.cosigned, run.size) == ([], number + 1)
        assert "does not answer" in run.troubles[0]
    it.session("Eve", "auditor").check()  # 24 hours: work goes on
    session = it.session("Eve", "auditor")
    session.index.catch_up()
    verdict = judge(session.index, it.store, session.trust(), session.now_ns(), it.line)
    assert verdict.problems == []
    assert "have seen line 2, of 6" in verdict.seen
    witness.away = False
    revoke(it, "cam-6")
    assert it.publish().cosigned == [witness.key.name]
    assert witness.notebook.newest(it.key.name).size == 7  # type: ignore[union-attr]


def test_beyond_the_outage_that_is_allowed_nothing_is_decided_and_work_goes_on(
    it: WitnessedStore, witness: WorldWitness, clock: BenchClock
) -> None:
    it.publish()
    witness.away = True
    clock.ahead_ns += 49 * HOUR_NS
    revoke(it, "cam-1")
    for decide in (
        Expiry(it.session("retention", "retention")).run,
        lambda: search_certificate.search(it.session("Dora", "disclosure"), "2026-00001"),
        it.session("Eve", "auditor").check,
    ):
        with pytest.raises(CustodyError, match="for 49 hours no 1 of the witnesses saw"):
            decide()
    assert any("for 49 hours" in said for said in sentences(it))
    witness.away = False
    it.publish()
    assert sentences(it) == []
    Expiry(it.session("retention", "retention")).run()


def test_custodys_clock_that_is_set_forward_erases_nothing(
    it: WitnessedStore, witness: WorldWitness, agency: BenchAgency
) -> None:
    """The witness keeps its own time: what it signs does not come nearer."""
    it.publish()
    fast = BenchClock(VirtualLoop(), 400 * 24 * HOUR_NS)
    ahead = dataclasses.replace if False else WitnessedStore.__new__(WitnessedStore)
    ahead.__dict__ = {**it.__dict__, "clock": fast}
    ahead.log = ahead.new_log()
    ahead.publish()
    with pytest.raises(CustodyError, match="Nothing is decided"):
        Expiry(ahead.session("retention", "retention")).run()


def test_a_witness_that_lies_is_outvoted_or_stops_everything(
    agency: BenchAgency, clock: BenchClock
) -> None:
    three = [WorldWitness(f"w{n}.example/w", clock) for n in range(3)]
    it = WitnessedStore(agency, MemoryStore(), clock, three, quorum=2)
    it.publish()
    three[0].lies = lambda reply: Reply(409, b"999999\n")
    revoke(it, "cam-1")
    run = it.publish()
    assert sorted(run.cosigned) == ["w1.example/w", "w2.example/w"]
    assert "w0.example/w has seen line 999999" in run.troubles[0]
    three[1].lies = lambda reply: Reply(422, b"no\n")
    revoke(it, "cam-2")
    with pytest.raises(CustodyError, match="has seen line 999999"):
        it.publish()
    three[1].lies = lambda reply: reply
    assert len(it.publish().cosigned) == 2, "what was not signed stands until a quorum disagrees"


@pytest.mark.parametrize(
    "answer", [Reply(200, b""), Reply(200, "— x AAAA\n".encode()), Reply(500, b""),
               Reply(409, b"many\n"), Reply(409, b"1" * 40), Reply(404, b"\xff"),
               Reply(302, b"elsewhere")],
)  # fmt: skip
def test_what_a_witness_answers_is_believed_only_if_it_is_signed(
    it: WitnessedStore, witness: WorldWitness, answer: Reply
) -> None:
    witness.lies = lambda reply: answer
    run = it.publish()
    assert run.cosigned == []
    assert len(run.troubles) == 1


def test_a_witness_that_forgot_everything_is_asked_from_the_beginning(
    it: WitnessedStore, witness: WorldWitness
) -> None:
    it.publish()
    witness.notebook.logs.clear()
    revoke(it, "cam-1")
    assert it.publish().cosigned == [witness.key.name]


def test_the_log_in_the_store_proves_every_line(it: WitnessedStore, agency: BenchAgency) -> None:
    """From tiles and entries alone, as somebody who reads tlog-tiles would."""
    ada = it.session("Ada", "custodian")
    for number in range(300):
        said = {"device": f"cam-{number}", "reason": "lost"}
        ada.append(lambda said=said: ("revoke", said))  # type: ignore[misc]
        if number in (99, 254, 255):
            it.publish()
    it.publish()
    log = read_trust_list(it.trust_list, [agency.root]).log
    checkpoint = read_signed(objects(it)[store_keys.CHECKPOINT], log).checkpoint
    assert checkpoint.size == 301
    full = objects(it)[store_keys.log_file("tile/0/000")]
    rest = objects(it)[store_keys.log_file("tile/0/001.p/45")]
    hashes = [(full + rest)[at : at + 32] for at in range(0, 301 * 32, 32)]
    assert merkle_tree.root_of(hashes) == checkpoint.root
    top = objects(it)[store_keys.log_file("tile/1/000.p/1")]
    assert merkle_tree.root_of(hashes[:256]) == top
    entries = objects(it)[store_keys.log_file("tile/entries/000")]
    assert [merkle_tree.leaf_hash(entries[at + 2 : at + 34]) for at in range(0, 34 * 256, 34)] == (
        hashes[:256]
    )
    lines = objects(it)[store_keys.lines_bundle(0)]
    assert lines == b"".join(objects(it)[store_keys.line(n)] for n in range(1, 257))
    reader = it.session("Eve", "auditor")
    reader.index.catch_up()
    for number in (1, 128, 256, 257, 301):
        proof = reader.index.tree.inclusion(number, 301)
        leaf = hashes[number - 1]
        assert merkle_tree.proves_inclusion(leaf, number - 1, 301, proof, checkpoint.root)


def test_a_tile_that_somebody_else_wrote_is_put_right(it: WitnessedStore) -> None:
    it.store.create(store_keys.log_file("tile/0/000.p/1"), BytesBody(b"junk"))
    run = it.publish()
    assert "was not the log's" in run.troubles[0]
    assert len(objects(it)[store_keys.log_file("tile/0/000.p/1")]) == 32


# --- what is no line ------------------------------------------------------------------------------


@pytest.mark.parametrize("junk", [b"", b"junk\n", b"{}\t" + b"0" * 128 + b"\n", bytes(17 << 20)])
def test_an_object_at_the_next_number_is_set_aside_and_told(
    it: WitnessedStore, junk: bytes
) -> None:
    for number in (2, 3):
        it.store.create(store_keys.line(number), BytesBody(junk))
    revoke(it, "cam-1")
    revoke(it, "cam-2")
    reader = it.session("Eve", "auditor")
    reader.index.catch_up()
    rows = reader.index.rows("SELECT n, kind FROM lines ORDER BY n")
    assert [(r["n"], r["kind"]) for r in rows] == [
        (1, "trust"), (2, "aside"), (3, "aside"), (4, "revoke"), (5, "revoke"),
    ]  # fmt: skip
    told = [row["problem"] for row in reader.index.rows("SELECT * FROM problems")]
    assert sum("set aside" in problem for problem in told) >= 2
    it.publish()
    assert sentences(it) == []
    del objects(it)[store_keys.line(2)]  # whoever laid it there may take it away
    assert sentences(it) == []


@pytest.mark.parametrize("how", ["a link", "a folder", "hidden"])
def test_what_stands_at_the_next_number_and_is_no_object_is_named(
    agency: BenchAgency, clock: BenchClock, tmp_path: Path, how: str
) -> None:
    """No list shows it, and no line can be created over it: a person must look."""
    store = DirectoryStore(tmp_path)
    it = WitnessedStore(agency, store, clock, [])
    at = tmp_path / store_keys.line(2)
    if how == "a link":
        at.symlink_to(tmp_path / store_keys.STORE)
    elif how == "a folder":
        at.mkdir()
    else:
        store.create(store_keys.line(2), BytesBody(b"x"))
        store.hide(store_keys.line(2))
    with pytest.raises(CustodyError, match=r"stands at custody/ledger/000/000/000/002, where"):
        revoke(it, "cam-1")


def test_a_signed_line_out_of_place_still_stops_everything(it: WitnessedStore) -> None:
    revoke(it, "cam-1")
    revoke(it, "cam-2")
    second = objects(it).pop(store_keys.line(2))
    with pytest.raises(CustodyError, match="line 2 is missing, and line 3 is there"):
        it.session("Eve", "auditor").index.catch_up()
    objects(it)[store_keys.line(7)] = second
    with pytest.raises(CustodyError, match="broken"):
        it.session("Eve", "auditor").index.catch_up()


# --- whose word counts ----------------------------------------------------------------------------


def test_a_place_without_an_identity_is_no_store(agency: BenchAgency, it: WitnessedStore) -> None:
    reader = it.session("Eve", "auditor")
    reader.index.catch_up()
    empty = MemoryStore()
    ledger = CustodyLedger(empty, it.clock, SeededEntropy("x"))
    with pytest.raises(EvidenceStoreError, match="Is it mounted"):
        Index(ledger, [agency.root]).catch_up()
    make_identity(empty, "ab" * 16)
    assert read_identity(empty) != it.id
    with pytest.raises(EvidenceStoreError, match="already"):
        make_identity(empty, "cd" * 16)
    reader.index._ledger = ledger
    reader.index._looked_ns = None
    with pytest.raises(EvidenceStoreError, match="another store"):
        reader.index.catch_up()
    objects(it)[store_keys.STORE] = b'{"format":3,"id":"x"}\n'
    with pytest.raises(EvidenceStoreError, match="not one of format 2"):
        it.session("Eve", "auditor").index.catch_up()


def test_powers_are_checked_before_a_line_is_written(it: WitnessedStore) -> None:
    before = set(objects(it))
    for name, role, kind in (
        ("Eve", "auditor", "hold"), ("in", "intake", "category"), ("Ada", "custodian", "erasing"),
        ("ret", "retention", "release-approved"), ("Dora", "disclosure", "issue"),
    ):  # fmt: skip
        with pytest.raises(CustodyError, match=f"{name} acts as {role}; this needs"):
            it.session(name, role).append(lambda kind=kind: (kind, {}))  # type: ignore[misc]
    assert set(objects(it)) == before


def test_a_key_that_has_ended_acts_no_more_whatever_tool_is_used(
    it: WitnessedStore, clock: BenchClock
) -> None:
    session = it.session("Ada", "custodian")
    clock.ahead_ns += 800 * 24 * HOUR_NS
    with pytest.raises(CustodyError, match="The key of Ada ended on"):
        session.append(lambda: ("revoke", {"device": "cam-1", "reason": "x"}))
    write_anyway(session, "revoke", {"device": "cam-1", "reason": "x"})
    (problem,) = session.index.rows("SELECT * FROM problems")
    assert "the key of Ada ended on" in problem["problem"]


def test_two_persons_change_the_trust_list_and_the_root_signs_it(
    it: WitnessedStore, agency: BenchAgency
) -> None:
    ada, ben = it.session("Ada", "custodian"), it.session("Ben", "custodian")
    second = it.list_of(2, [])
    with pytest.raises(CustodyError, match="proposed by one person"):
        ada.append(lambda: ("trust", {"list": second}))
    with pytest.raises(CustodyError, match="does not follow"):
        ada.append(lambda: ("trust-proposed", {"list": it.list_of(3)}))
    line = ada.append(lambda: ("trust-proposed", {"list": second}))
    assert line is not None
    said = {"version": 2, "proposed": line.number}
    with pytest.raises(CustodyError, match="who proposes a trust list can't approve it"):
        ada.append(lambda: ("trust-approved", said))
    ben.append(lambda: ("trust-approved", said))
    assert ben.trust().version == 2  # type: ignore[union-attr]
    with pytest.raises(CustodyError, match="nobody proposed"):
        ben.append(lambda: ("trust-approved", said))
    stranger = WitnessedStore(BenchAgency("another"), MemoryStore(), it.clock, [])
    with pytest.raises(StatementError, match="not signed by the agency's root"):
        read_trust_list(stranger.trust_list, [agency.root])
    given = it.session("Eve", "auditor", it.list_of(3))
    given.index.catch_up()
    assert given.trust().version == 3, "one given as a file may be newer"  # type: ignore[union-attr]
    other = it.session("Eve", "auditor", stranger.trust_list)
    with pytest.raises(CustodyError, match="can't be used"):
        other.trust()


def test_a_body_that_is_gone_takes_nothing_back(it: WitnessedStore) -> None:
    """The line, its signature and what it decides stay; that the words are gone is told."""
    revoke(it, "cam-1")
    it.publish()
    (body,) = [key for key in objects(it) if key.startswith("custody/bodies/")]
    line = objects(it)[store_keys.line(2)]
    assert b"lost" in objects(it)[body]
    assert b"lost" not in line
    del objects(it)[body]
    reader = it.session("Eve", "auditor")
    reader.index.catch_up()
    (camera,) = reader.index.rows("SELECT * FROM cameras")
    assert camera["device"] == "cam-1"
    (problem,) = reader.index.rows("SELECT * FROM problems")
    assert "body" in problem["problem"]
    assert sentences(it) == [], "the history is whole without it"


def test_an_error_is_always_ours(it: WitnessedStore) -> None:
    """Whatever stands in the log's place, a reader gets a sentence."""
    it.publish()
    for data in (b"", b"\x00" * 99, b"x\n\n", b"\xff" * 300_000):
        objects(it)[store_keys.checkpoint(9, 9)] = data
        session = it.session("Eve", "auditor")
        try:
            session.index.catch_up()
            judge(session.index, it.store, session.trust(), session.now_ns(), it.line)
        except BwvError:
            pass


# --- cameras --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cut", "another past"])
def test_a_camera_shows_at_another_docking_what_it_has_seen(
    agency: BenchAgency, clock: BenchClock, how: str
) -> None:
    """The store is set back, with its log, and no witness is asked: the camera remembers."""
    camera = make_camera(
        agency, dock={"store": "bench", "poll_ms": 500, "greeting_wait_s": 5, "resend_s": 20},
        video={"bitrate_kbps": 200}, recording={"segment_s": 10, "pre_event_s": 0},
    )  # fmt: skip
    camera.run(seconds=2)
    custody = BenchCustody(camera, agency)
    it = WitnessedStore(agency, custody.store, custody.clock, [])
    revoke(it, "cam-1")
    before = dict(custody.store.objects)
    revoke(it, "cam-2")
    it.publish()
    custody.start()
    camera.put_in_dock(True)
    camera.run(seconds=20)
    camera.put_in_dock(False)
    custody.store.objects = dict(before)
    if how != "cut":
        for number in range(9):
            revoke(it, f"another-{number}")
        it.new_log().publish()
    custody.workers[0] = BenchCustody(camera, agency).workers[0]
    camera.put_in_dock(True)
    why = {"cut": "bench-camera-1 has seen line 3", "another past": "are not those that the camera"}
    with pytest.raises(CustodyError, match=why[how]):
        camera.run(seconds=20)


def test_a_camera_hears_of_no_checkpoint_where_there_is_no_log(agency: BenchAgency) -> None:
    camera = make_camera(agency, dock={"store": "bench", "poll_ms": 500, "greeting_wait_s": 5})
    camera.run(seconds=2)
    custody = BenchCustody(camera, agency)
    custody.start()
    camera.put_in_dock(True)
    camera.run(seconds=20)
    (greeting,) = [data for key, data in custody.store.objects.items() if "/greetings/" in key]
    assert b'"checkpoint":""' in greeting


# --- while it grows -------------------------------------------------------------------------------


class GrowingStore(MemoryStore):
    """Calls `grow` once, when checkpoints are listed or a line's digest is compared."""

    grow: Callable[[], None] | None = None
    when = store_keys.CHECKPOINTS

    def entries(self, prefix: str, after: str = "") -> Iterator[Stored]:
        grow, before = self.grow, list(super().entries(prefix, after))
        if grow is not None and prefix == self.when:
            self.grow = None
            grow()
        lines = prefix == store_keys.LINES  # of these, what was there when it was asked
        yield from before if lines else super().entries(prefix, after)


@pytest.mark.parametrize("when", [store_keys.CHECKPOINTS, store_keys.LINES])
def test_a_log_that_grows_while_it_is_read_is_no_cut_end(
    agency: BenchAgency, clock: BenchClock, witness: WorldWitness, when: str
) -> None:
    """Lines are there before their checkpoint, and it before a witness sees it: whoever reads in
    the other order meets nothing that looks like an attack."""
    store = GrowingStore()
    it = WitnessedStore(agency, store, clock, [witness])
    it.publish()
    ada, reader = it.session("Ada", "custodian"), it.session("Eve", "auditor")
    reader.check()

    def grow() -> None:
        ada.append(lambda: ("revoke", {"device": "cam-1", "reason": "lost"}))
        it.publish()

    store.when = when
    store.grow = grow
    reader.check()
    assert store.grow is None
    store.grow = grow
    trust, now_ns = reader.trust(), reader.now_ns()
    assert judge(reader.index, it.store, trust, now_ns, it.line).problems == []
    store.grow = grow
    reader.append(lambda: ("search", {"request": "", "found": []}))


def test_what_a_witness_has_seen_stands_in_the_store_before(
    it: WitnessedStore, witness: WorldWitness
) -> None:
    stood = []

    def look(reply: Reply) -> Reply:
        stood.append(store_keys.checkpoint(1, 0) in objects(it))
        return reply

    witness.lies = look
    it.publish()
    assert stood
    assert all(stood)


def test_a_line_that_is_dated_ahead_shows_by_the_witnesses_time(it: WitnessedStore) -> None:
    """The retention key alone could erase early by a date of its own choice."""
    revoke(it, "cam-1")
    it.publish()
    assert sentences(it) == []
    it.clock.ahead_ns += 40 * 86_400 * SECOND_NS
    revoke(it, "cam-2", "Ben")  # from a machine whose clock was set forward
    it.clock.ahead_ns -= 40 * 86_400 * SECOND_NS
    revoke(it, "cam-3")
    it.publish()
    (sentence,) = sentences(it)
    assert "line 3 is dated" in sentence
    assert "it was dated ahead" in sentence


def test_a_key_that_ends_soon_is_told_of_before_it_is_turned_away(it: WitnessedStore) -> None:
    eve = it.session("Eve", "auditor")
    assert ending(eve, 30) == []
    it.clock.ahead_ns += 715 * 86_400 * SECOND_NS
    (sentence,) = ending(eve, 30)
    assert "the custodian key of Ada ends on 2028-02-" in sentence
    it.clock.ahead_ns += 30 * 86_400 * SECOND_NS
    assert ending(eve, 30) == [], "it has ended, and its lines are refused"


# --- lines by the bundle --------------------------------------------------------------------------


class CountingStore(MemoryStore):
    """Counts what is read of the ledger, line by line and in bundles."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = self.bundles = 0

    def read(self, key: str, limit: int) -> bytes:
        self.lines += key.startswith(store_keys.LINES)
        self.bundles += key.startswith(f"{store_keys.LOG}lines/")
        return super().read(key, limit)


@pytest.fixture
def long(agency: BenchAgency, clock: BenchClock, witness: WorldWitness) -> WitnessedStore:
    """600 lines, published: two bundles are full."""
    it = WitnessedStore(agency, CountingStore(), clock, [witness])
    ada = it.session("Ada", "custodian")
    for number in range(599):
        ada.append(lambda n=number: ("issue", {"device": f"cam-{n}", "officer": "x", "version": 1}))  # type: ignore[misc]
    it.publish()
    return it


def read_anew(it: WitnessedStore) -> list[dict[str, object]]:
    index = it.session("Eve", "auditor").index
    index.catch_up()
    return index.rows("SELECT * FROM lines ORDER BY n")


def test_an_index_is_built_from_bundles(long: WitnessedStore) -> None:
    store = long.store
    assert isinstance(store, CountingStore)
    store.lines = store.bundles = 0
    rows = read_anew(long)
    assert len(rows) == 600
    assert (store.bundles, store.lines) == (3, 600 - 512 + 1)
    for key in [key for key in store.objects if key.startswith(f"{store_keys.LOG}lines/")]:
        del store.objects[key]
    assert read_anew(long) == rows


@pytest.mark.parametrize("damage", ["a byte", "a line less", "another order", "junk", "empty"])
def test_a_bundle_is_believed_no_more_than_lines_are(long: WitnessedStore, damage: str) -> None:
    rows, key = read_anew(long), store_keys.lines_bundle(1)
    whole = objects(long)[key]
    lines = whole.splitlines(keepends=True)
    objects(long)[key] = {
        "a byte": whole.replace(b"cam-300", b"cam-301", 1),
        "a line less": b"".join(lines[:100] + lines[101:]),
        "another order": b"".join(reversed(lines)),
        "junk": bytes(1000),
        "empty": b"",
    }[damage]
    assert read_anew(long) == rows
    assert sentences(long) == []


def test_bundles_do_not_hide_that_the_lines_are_gone(long: WitnessedStore) -> None:
    for number in range(257, 601):
        del objects(long)[store_keys.line(number)]
    with pytest.raises(CustodyError, match="line 512 was read before"):
        read_anew(long)
