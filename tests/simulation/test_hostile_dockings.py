"""Whoever may write into the store, with a camera's key or without any, stops neither the intake of
others nor deletion; and what no camera signed never becomes a line."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from support.camera_bench import make_camera

from bwv_device.custody.intake import intake as intake_module
from bwv_device.custody.intake.intake import DOCKINGS_PER_PASS, REFUSED_PER_DAY, Intake
from bwv_device.custody.intake.results import Done
from bwv_device.custody.ledger.ledger import parse
from bwv_device.formats import signature, statement, store_keys
from bwv_device.formats.grammar.purposes import DOCKING
from bwv_device.formats.ledger_lines import START, boot_statement
from hal.ports import SECOND_NS, StoreError, StoreTrouble
from hal.simulated.store import MemoryStore
from sim.world.custody_workers import BenchClock, BenchCustody, founded, role, session
from sim.world.test_keys import BenchAgency
from sim.world.virtual_loop import VirtualLoop

NONCE = "ab" * 16
NOW_NS = 1_772_438_400 * SECOND_NS
DOCK = {"store": "bench", "poll_ms": 500, "greeting_wait_s": 5, "resend_s": 20}


class Dock:
    """A custody, and a camera whose owner writes what he likes."""

    def __init__(self, agency: BenchAgency, device: str = "bench-camera-1") -> None:
        self.agency = BenchAgency("bench", device=device)
        self.store = founded(MemoryStore())
        self.clock = BenchClock(VirtualLoop())
        self.intake = Intake(
            session(agency, self.store, self.clock, "intake", "intake"), [agency.root], "w"
        )

    def once(self) -> Done:
        return self.intake.once()

    def lines(self) -> list[dict[str, Any]]:
        return [
            parse(self.store.read(stored.key, 1 << 20)).fields
            for stored in self.store.entries(store_keys.LINES)
        ]

    def dock(
        self,
        lines: list[tuple[str, dict[str, Any]]],
        nonce: str = NONCE,
        *,
        boot_fields: dict[str, Any] | None = None,
        raw: bytes = b"",
        **changed: Any,
    ) -> None:
        """A docking with a ledger of one boot, all of it signed."""
        data, number, digest = ledger(self.agency, lines, boot_fields or {})
        data += raw
        device = self.agency.device.device
        fields = {
            "device": device, "boot": 1, "nonce": nonce,
            "anchor": {"number": number, "digest": digest}, "t": 10 * SECOND_NS,
            "time": {"utc_ns": NOW_NS, "error_ns": SECOND_NS, "source": "ntp"}, "battery": 50,
            "ledgers": [{"boot": 1, "length": len(data)}], "files": [], **changed,
        }  # fmt: skip
        self.store.put(store_keys.ledger_piece(device, nonce, 1, 0), data)
        said = make_any(self.agency.device, DOCKING, fields)
        self.store.put(store_keys.docking(device, nonce), said)


def ledger(
    agency: BenchAgency, lines: list[tuple[str, dict[str, Any]]], boot_fields: dict[str, Any]
) -> tuple[bytes, int, str]:
    """Lines that hold, whatever they say: also what has no canonical form."""
    key = signature.private_key(b"k" * 48)
    point = signature.public_bytes(key.public_key()).hex()
    device = agency.device
    said = signature.from_der(device.sign(boot_statement(device.device, 1, point, START))).hex()
    boot = {
        "format": 2, "device": device.device, "boot": 1, "boot_key": point, "cause": "start",
        "certificate": device.certificate_pem.decode(), "device_signature": said, **boot_fields,
    }  # fmt: skip
    data, before, number = b"", START.digest, 0
    for kind, told in [("boot", boot), *lines]:
        number += 1
        fields = {**told, "n": number, "prev": before, "t": number, "kind": kind}
        signed = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
        line = signed + b"\t" + signature.sign(key, signed).hex().encode()
        before = hashlib.sha256(line).hexdigest()
        data += line + b"\n"
    return data, number, before


def make_any(signer: Any, purpose: str, fields: dict[str, Any]) -> bytes:
    """A statement of anything: `statement.make` writes only what has a canonical form."""
    chain = statement.chain_of(signer.certificate_pem)
    table = {**fields, "purpose": purpose, "by": statement.fingerprint(chain[0])}
    signed = json.dumps(table, sort_keys=True, separators=(",", ":")).encode()
    text = signed + b"\t" + signature.from_der(signer.sign(signed)).hex().encode()
    return text + b"\n" + signer.certificate_pem


def honest_behind(agency: BenchAgency, store: MemoryStore) -> Dock:
    """Another camera of the agency, whose docking sorts last."""
    other = Dock(agency, "zz-honest")
    other.store = store
    other.dock([("stop", {})], "cd" * 16)
    return other


def docked(it: Dock, device: str) -> bool:
    return any(
        line["kind"] == "docking" and line["device"] == device and "refused" not in line
        for line in it.lines()
    )


# --- without any key -----------------------------------------------------------------------------

JUNK: dict[str, Callable[[Dock], None]] = {
    "5 MiB of zeros": lambda it: it.store.put(f"dockings/aaa/{NONCE}", bytes(5 << 20)),
    "5 MiB under a key of another form": lambda it: it.store.put("dockings/aaa/x", bytes(5 << 20)),
    "a name that asks": lambda it: it.store.put("dockings/aaa/what now?", b"x"),
    "no nonce": lambda it: it.store.put("dockings/aaa", b"x"),
    "too deep a key": lambda it: it.store.put(f"dockings/aaa/{NONCE}/x", b"x"),
    "a device with a dot in front": lambda it: it.store.put(f"dockings/.a/{NONCE}", b"x"),
    "a nonce in upper case": lambda it: it.store.put(f"dockings/aaa/{NONCE.upper()}", b"x"),
    "escaped quotes, never closed": lambda it: it.store.put(
        f"dockings/aaa/{NONCE}", b'{"a":"' + b'\\"' * (1 << 20)
    ),
    "open lists": lambda it: it.store.put(f"dockings/aaa/{NONCE}", b"[" * (4 << 20)),
    "an unsigned statement": lambda it: it.store.put(
        f"dockings/bench-camera-1/{NONCE}",
        b'{"a":1}\t' + b"0" * 128 + b"\n" + it.agency.device.certificate_pem,
    ),
    "a megabyte of certificates": lambda it: it.store.put(
        f"dockings/bench-camera-1/{NONCE}",
        b'{"a":1}\t' + b"0" * 128 + b"\n" + it.agency.device.certificate_pem * 1000,
    ),
    "another camera's docking": lambda it: it.store.put(
        f"dockings/bench-camera-2/{NONCE}",
        make_any(it.agency.device, DOCKING, {"device": "bench-camera-2", "nonce": NONCE}),
    ),
    "a person's docking": lambda it: it.store.put(
        f"dockings/bench-camera-1/{NONCE}",
        make_any(role(it.agency, "bench-camera-1", "auditor"), DOCKING, {"nonce": NONCE}),
    ),
}


@pytest.mark.parametrize("junk", JUNK)
def test_what_no_camera_signed_stops_nobody_and_becomes_no_line(
    junk: str, agency: BenchAgency
) -> None:
    it = Dock(agency)
    honest_behind(agency, it.store)
    JUNK[junk](it)
    first = it.once()
    assert len(first.strange) == 1, first
    assert docked(it, "zz-honest")
    assert {line["device"] for line in it.lines()} == {"zz-honest"}
    assert it.once().strange == []  # it is out of sight


def test_junk_by_the_thousand_becomes_no_line_and_takes_no_memory(agency: BenchAgency) -> None:
    it = Dock(agency)
    for number in range(1000):
        it.store.put(f"dockings/aaa/{number:032x}", bytes(64 << 10))
    honest_behind(agency, it.store)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    done = it.once()
    assert tracemalloc.get_traced_memory()[1] - before < 16 << 20
    tracemalloc.stop()
    assert docked(it, "zz-honest")
    assert len(done.strange) == DOCKINGS_PER_PASS  # of one camera's name; the rest in later passes
    assert {line["device"] for line in it.lines()} == {"zz-honest"}


# --- with a camera's key -------------------------------------------------------------------------

FILE = "00000001-0001-0001.mp4.age"
STILL = "00000001-0001-0001.jpg.age"
OPEN = {"segment": FILE, "recording": "00000001-0001", "header": "", "nonce": "00" * 16,
        "first_pts_ns": 1, "index": 0, "officer": "PC 42",
        "time": {"utc_ns": NOW_NS, "error_ns": 1, "source": "ntp"}}  # fmt: skip
STILL_LINE = {"segment": STILL, "recording": "00000001-0001", "length": 1, "sha256": "0" * 64,
              "pts_ns": 5}  # fmt: skip

NESTED = json.loads("[" * 17 + "]" * 17)
LINES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "a still at the time x": [("open", OPEN), ("still", {**STILL_LINE, "pts_ns": "x"})],
    "a segment that starts at a text": [("open", {**OPEN, "first_pts_ns": "1"})],
    "an open line of nothing": [("open", {})],
    "a custodian of half a character": [("custodian", {"certificate": "\ud800"})],
    "a flag of half a character": [("flag", {"recording": "\ud800"})],
    "a gap of half a character": [("gap", {"track": "video", "from_ns": 1, "to_ns": 2, "units": 1,
                                           "reason": "\udfff"})],
    "a marker beyond 64 bits": [("open", OPEN), ("marker", {"marker": "moment", "at_ns": 1 << 63,
                                                            "recording": "00000001-0001"})],
    "a marker at the end of time": [("open", OPEN), ("marker", {
        "marker": "moment", "at_ns": (1 << 63) - 1, "recording": "00000001-0001"})],
    "a time at the end of time": [("time", {"stepped_ns": 0, "time": {
        "utc_ns": (1 << 63) - 1, "error_ns": 0, "source": "ntp"}})],
    "a time before 1970": [("time", {"stepped_ns": 0, "time": {
        "utc_ns": -(1 << 63), "error_ns": 0, "source": "ntp"}})],
    "a negative error": [("time", {"stepped_ns": 0, "time": {
        "utc_ns": NOW_NS, "error_ns": -1, "source": "ntp"}})],
    "an officer who colours": [("open", {**OPEN, "officer": "\x1b[31mred"})],
    "an officer of two lines": [("open", {**OPEN, "officer": "PC 42\nsealed x"})],
    "lists in lists": [("state", {"from": "a", "to": "b", "event": NESTED})],
    "a float": [("sync", {"segment": FILE, "length": 1.5, "sha256": "0" * 64})],
    "true for a length": [("open", OPEN), ("sync", {"segment": FILE, "length": True,
                                                    "sha256": "0" * 64})],
}  # fmt: skip


@pytest.mark.parametrize("what", LINES)
def test_a_signed_line_of_a_wrong_form_is_its_own_cameras_trouble(
    what: str, agency: BenchAgency
) -> None:
    it = Dock(agency)
    honest_behind(agency, it.store)
    it.dock(LINES[what])
    it.once()
    assert docked(it, "zz-honest")
    assert not docked(it, "bench-camera-1")
    (refused,) = [line["refused"] for line in it.lines() if "refused" in line]
    assert refused
    before = len(it.lines())
    it.once()
    assert len(it.lines()) == before


FIELDS: dict[str, dict[str, Any]] = {
    "docked before time began": {"time": {"utc_ns": -(1 << 63), "error_ns": 0, "source": "ntp"}},
    "a negative length": {"ledgers": [{"boot": 1, "length": -1}]},
    "ledgers as pairs": {"ledgers": [[1, 2]]},
    "a file of no name": {"files": [{"length": 1, "sha256": "0" * 64}]},
    "a file somewhere else": {"files": [
        {"segment": "../../x", "length": 1, "sha256": "0" * 64}]},
    "half a character": {"extra": "\ud800"},
    "a field too many": {"extra": 1},
    "another nonce": {"nonce": "00" * 16},
    "true for the boot": {"boot": True},
}  # fmt: skip


@pytest.mark.parametrize("what", FIELDS)
def test_a_signed_docking_of_a_wrong_form_is_put_away(what: str, agency: BenchAgency) -> None:
    it = Dock(agency)
    honest_behind(agency, it.store)
    device = it.agency.device.device
    it.dock([("stop", {})], NONCE)
    it.store.erase(store_keys.docking(device, NONCE))
    fields = {
        "device": device, "boot": 1, "nonce": NONCE, "anchor": {"number": 1, "digest": "0" * 64},
        "t": 1, "time": {"utc_ns": NOW_NS, "error_ns": 1, "source": "ntp"}, "battery": 50,
        "ledgers": [], "files": [], **FIELDS[what],
    }  # fmt: skip
    said = make_any(it.agency.device, DOCKING, fields)
    it.store.put(store_keys.docking(device, NONCE), said)
    assert len(it.once().strange) == 1
    assert docked(it, "zz-honest")


def test_a_camera_can_not_squat_anothers_nonce(agency: BenchAgency) -> None:
    """One under its own name, with the nonce of the other."""
    it = Dock(agency)
    it.dock([("stop", {})], "cd" * 16)
    honest_behind(agency, it.store)  # with the same nonce
    it.once()
    assert docked(it, "bench-camera-1")
    assert docked(it, "zz-honest")


def test_a_camera_that_docks_without_end_fills_nothing(agency: BenchAgency) -> None:
    it = Dock(agency)
    for number in range(60):
        it.dock([("open", {})], f"{number:032x}")
    honest_behind(agency, it.store)
    for _ in range(12):
        it.once()
    refused = [line for line in it.lines() if line.get("refused")]
    assert len(refused) == REFUSED_PER_DAY
    assert len(it.lines()) <= 2 * REFUSED_PER_DAY + 1
    assert docked(it, "zz-honest")


def test_what_nobody_expected_is_a_quarantine_with_its_name(
    agency: BenchAgency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of intake itself, in one docking; and the control: without the boundary the other
    camera is never received."""
    judge = intake_module.judge

    def faulty(docking: Any, *rest: Any) -> Any:
        if docking.device == "bench-camera-1":
            raise ZeroDivisionError("in the middle of it")
        return judge(docking, *rest)

    monkeypatch.setattr(intake_module, "judge", faulty)
    it = Dock(agency)
    it.dock([("stop", {})])
    honest_behind(agency, it.store)
    done = it.once()
    assert docked(it, "zz-honest")
    assert "ZeroDivisionError" in done.refused[0]
    (line,) = [line for line in it.lines() if line.get("refused")]
    assert "ZeroDivisionError" in line["refused"]

    monkeypatch.setattr(Intake, "_one", unbounded)
    bare = Dock(agency)
    bare.dock([("stop", {})])
    honest_behind(agency, bare.store)
    with pytest.raises(ZeroDivisionError):
        bare.once()
    assert not docked(bare, "zz-honest")


def unbounded(self: Intake, key: Any, stored: Any, done: Done) -> None:
    data = self._store.read(stored.key, statement.SIZE_LIMIT)
    docking = statement.of_camera(data, intake_module.Docking, key.device, self._roots).value
    self._work(docking, stored.key, done)


def test_this_machines_troubles_are_not_the_cameras(
    agency: BenchAgency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk refuses nobody for ever."""
    judge = intake_module.judge
    monkeypatch.setattr(
        intake_module, "judge", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left"))
    )
    it = Dock(agency)
    it.dock([("stop", {})])
    done = it.once()
    assert done.troubles
    assert it.lines() == []
    monkeypatch.setattr(intake_module, "judge", judge)
    it.once()
    assert docked(it, "bench-camera-1")


def test_a_store_that_denies_one_object_stops_no_other(agency: BenchAgency) -> None:
    it = Dock(agency)
    it.dock([("stop", {})])
    honest_behind(agency, it.store)
    read = it.store.read

    def deny(key: str, limit: int) -> bytes:
        if "bench-camera-1" in key:
            raise StoreError(StoreTrouble.DENIED, "403")
        return read(key, limit)

    it.store.read = deny  # type: ignore[method-assign]
    assert it.once().troubles
    it.store.read = read  # type: ignore[method-assign]
    assert docked(it, "zz-honest")


def test_a_camera_is_not_held_up_by_its_own_dockings_that_wait(agency: BenchAgency) -> None:
    """Their ledgers never came: taken off the dock too early, again and again."""
    it = Dock(agency)
    for number in range(2 * DOCKINGS_PER_PASS + 1):
        nonce = f"{number:032x}"
        it.dock([("stop", {})], nonce)
        it.store.erase(store_keys.ledger_piece(it.agency.device.device, nonce, 1, 0))
    it.dock([("stop", {})], "ff" * 16)
    for _ in range(4):
        it.once()
    assert docked(it, "bench-camera-1")


def test_a_line_that_nobody_could_read_is_not_written(agency: BenchAgency) -> None:
    """Recordings by the thousand, with all that a line may say of each."""
    from bwv_device.custody.ledger import ledger as custody_ledger

    it = Dock(agency)
    many = []
    for number in range(1, 3001):
        recording = f"00000001-{number:04d}"
        told = {**OPEN, "segment": f"{recording}-0001.mp4.age", "recording": recording,
                "officer": "\U0001f600" * 64, "trigger": "\U0001f600" * 200}  # fmt: skip
        many.append(("open", told))
    honest_behind(agency, it.store)
    limit, custody_ledger.LINE_LIMIT = custody_ledger.LINE_LIMIT, 4000
    try:
        files = [{"segment": f"00000001-{n:04d}-0001.mp4.age", "length": 1, "sha256": "0" * 64}
                 for n in range(1, 40)]  # fmt: skip
        it.dock([*many[:40], *(("still", {**STILL_LINE, "recording": f"00000001-{n:04d}",
                 "segment": f"00000001-{n:04d}-0001.jpg.age"}) for n in range(1, 40))],
                "ee" * 16, files=[{**f, "segment": f["segment"].replace("mp4", "jpg")}
                                  for f in files])  # fmt: skip
        it.once()
        it.once()
    finally:
        custody_ledger.LINE_LIMIT = limit
    assert docked(it, "zz-honest")
    assert any("ValueError" in line.get("refused", "") for line in it.lines())


# --- uploads -------------------------------------------------------------------------------------


def test_wrong_bytes_are_set_aside_in_pieces_and_the_ledger_does_not_fill(
    agency: BenchAgency,
) -> None:
    """An upload of 64 MiB is not held in memory; other bytes again and again give five lines."""
    it = make_camera(agency, dock=DOCK, video={"bitrate_kbps": 200},
                     recording={"segment_s": 10, "pre_event_s": 0})  # fmt: skip
    it.run(seconds=2)
    it.press_record_twice()
    it.run(seconds=4)
    it.hold_record()
    it.run(seconds=2)
    custody = BenchCustody(it, agency)
    custody.start()
    create = it.uplink.create
    sent = 0

    def spoilt(key: str, body: Any) -> None:
        nonlocal sent
        if not key.startswith("footage/") or sent >= 9:
            create(key, body)
            return
        sent += 1
        custody.store.put(key, bytes([sent]) * (8 << 20))

    it.uplink.create = spoilt  # type: ignore[method-assign]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    it.put_in_dock(True)
    it.run(seconds=400)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert sent == 9
    assert it.disk.names("footage") == []  # in the end all is delivered
    desk = custody.session("Ada", "custodian")
    desk.index.catch_up()
    assert len(desk.index.rows("SELECT * FROM quarantine")) == 5
    assert peak < 120 << 20
