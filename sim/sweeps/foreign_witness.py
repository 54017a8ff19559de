"""Custody's log before a witness that nobody here wrote: what it must cosign, and what not."""

from __future__ import annotations

from pathlib import Path

from bwv_device.backends.witness_line import HttpWitnessLine
from bwv_device.custody.ledger.store_identity import read_identity
from bwv_device.errors import CustodyError
from bwv_device.formats import store_keys
from bwv_device.formats.grammar.statements import TrustedWitness
from bwv_device.verification.trust_list import origin
from hal.host import HostClock
from hal.simulated.store import MemoryStore
from sim.custody.witness import seeded_key
from sim.custody.witnessed_store import WitnessedStore
from sim.servers.litewitness import NAME, LiteWitness
from sim.world.custody_workers import founded
from sim.world.test_keys import BenchAgency

TOOL = "litewitness"


def is_there(tools: Path) -> bool:
    return (tools / TOOL).exists()


def failures(tools: Path, folder: Path) -> list[str]:
    """What the witness made of an honest log, one with another past, and one that was cut back;
    sentences about what it should have done."""
    store = founded(MemoryStore())
    log = seeded_key(origin(read_identity(store))).verifier
    witness = LiteWitness(tools, folder, log)
    try:
        named = [TrustedWitness(str(witness.key), witness.url)]
        line = HttpWitnessLine()
        it = WitnessedStore(BenchAgency(), store, HostClock(), [], foreign=(named, line))
        return [*_honest(it), *_another_past(it, store), *_cut_back(it, store)]
    finally:
        witness.stop()


def _honest(it: WitnessedStore) -> list[str]:
    said = []
    for number in range(300):
        _revoke(it, number)
        if number in (0, 1, 6, 7, 254, 255, 299) and it.publish().cosigned != [NAME]:
            said.append(f"it did not cosign {number + 2} lines")
    return said


def _another_past(it: WitnessedStore, store: MemoryStore) -> list[str]:
    """All lines anew from the second on, and some more: signed with every right key."""
    kept = dict(store.objects)
    for key in [k for k in store.objects if k.startswith((store_keys.LINES, store_keys.LOG))]:
        if key != store_keys.line(1):
            del store.objects[key]
    it.ada = None
    for number in range(400, 710):
        _revoke(it, number)
    said = _objects(it, "another past")
    store.objects = kept
    return said


def _cut_back(it: WitnessedStore, store: MemoryStore) -> list[str]:
    for key in list(store.objects):
        number = store_keys.parse_line(key)
        if (number is not None and number > 200) or key.startswith(store_keys.LOG):
            del store.objects[key]
    return _objects(it, "a log that was cut back")


def _objects(it: WitnessedStore, what: str) -> list[str]:
    try:
        run = it.new_log().publish()
    except CustodyError:
        return []
    return [f"it did not object to {what}: {run}"]


def _revoke(it: WitnessedStore, number: int) -> None:
    if it.ada is None:
        it.ada = it.session("Ada", "custodian")
    it.ada.append(lambda: ("revoke", {"device": f"cam-{number}", "reason": "lost"}))
