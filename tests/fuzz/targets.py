"""Every parser that reads from storage or from outside, as a function of bytes.

A target returns when the input was read, or refused with the error that is documented for it;
whatever else it raises is a finding. `tests/fuzz/corpus/NAME/` holds where to start from.
"""

from __future__ import annotations

import contextlib
import io
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from bwv_device import config, keys
from bwv_device.custody.index import Index
from bwv_device.custody.intake import well_formed
from bwv_device.custody.ledger import CustodyLedger
from bwv_device.errors import BwvError, VaultError
from bwv_device.evidence import canonical, h264, statement
from bwv_device.evidence.fmp4_reader import fragments, read_init, units
from bwv_device.evidence.ledger import parse_line
from bwv_device.evidence.recovery import survey
from bwv_device.evidence.seal import Opener
from bwv_device.evidence.verify import parse_anchor, verify
from bwv_device.second_verifier import Judge
from hal.host import HostClock
from hal.ports import Track
from hal.rpi import wire
from hal.simulated.disk import SimulatedDisk
from hal.simulated.store import MemoryStore
from sim.agency import BenchAgency
from sim.scenario.play import parse as parse_scenario

MEMORY = Path("/dev/shm")
RATE_HZ = 48_000


class FindingError(Exception):
    """A parser that accepts what it must not, or verifiers that disagree."""


@cache
def agency() -> BenchAgency:
    return BenchAgency()


@cache
def folder() -> Path:
    where = MEMORY if MEMORY.is_dir() else None
    return Path(tempfile.mkdtemp(prefix="bwv-fuzz-", dir=where))


def fuzz_config(data: bytes) -> None:
    with contextlib.suppress(BwvError):
        config.parse(data, "fuzzed")


def fuzz_scenario(data: bytes) -> None:
    with contextlib.suppress(BwvError):
        parse_scenario(data)


def fuzz_sealed(data: bytes) -> None:
    with contextlib.suppress(BwvError):
        for _ in Opener(io.BytesIO(data), agency().identities).chunks():
            pass


def fuzz_line(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        line = parse_line(data)
        if canonical.encode(line.fields) != line.signed:
            raise FindingError("a line that is not canonical was accepted")


def fuzz_canonical(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        if canonical.encode(canonical.decode(data)) != data:
            raise FindingError("a value that is not canonical was accepted")


def fuzz_survey(data: bytes) -> None:
    """What a boot reads of a damaged ledger: the first two bytes say where it is cut in files."""
    disk = SimulatedDisk()
    at = int.from_bytes(data[:2], "big")
    for boot, part in enumerate((data[2 : 2 + at], data[2 + at :]), 1):
        path = f"ledger/{boot:08d}.ledger"
        disk.create(path)
        disk.append(path, part)
    with contextlib.suppress(VaultError):
        survey(disk)


def fuzz_vault(data: bytes) -> None:
    """Two verifiers on the same ledger: neither ends, and they agree."""
    vault = folder() / "vault"
    for name in ("ledger", "footage"):
        (vault / name).mkdir(parents=True, exist_ok=True)
    (vault / "ledger" / "00000001.ledger").write_bytes(data)
    report = verify(vault, [agency().root])
    word = Judge(vault, [agency().root]).judge()
    if (word == "changed") == report.ok:
        raise FindingError(f"verdicts differ: {word}, {report.problems[:3]}")


def fuzz_trust(data: bytes) -> None:
    for parse in (keys.parse_recipients, keys.parse_identities, keys.parse_private_key):
        with contextlib.suppress(BwvError):
            parse(data, "fuzzed")
    with contextlib.suppress(BwvError):
        chain = keys.parse_certificates(data, "fuzzed")
        keys.chain_leads_to(chain, agency().root)


def fuzz_mp4(data: bytes) -> None:
    with contextlib.suppress(ValueError, KeyError, IndexError, struct.error):
        read_init(data)
    with contextlib.suppress(ValueError, KeyError, IndexError, struct.error):
        for moof, mdat in fragments(data):
            units(data, moof, mdat, RATE_HZ)


def fuzz_h264(data: bytes) -> None:
    for parse in (h264.is_picture, h264.parameter_sets, h264.split_keyframe):
        with contextlib.suppress(ValueError):
            parse(data)


def fuzz_anchor(data: bytes) -> None:
    with contextlib.suppress(VaultError):
        parse_anchor(data.decode("utf-8", "replace"))


def fuzz_statement(data: bytes) -> None:
    """What comes from a store, or lies in one: receipts, greetings, assignments, dockings."""
    with contextlib.suppress(statement.StatementError):
        said = statement.parse(data)
        if not data.startswith(canonical.encode(said.fields)):
            raise FindingError("a statement that is not canonical was accepted")
        with contextlib.suppress(statement.StatementError):
            statement.role_of(said.chain, [agency().root])
        well_formed(said, "bench-camera-1", "00" * 16)


def fuzz_custody(data: bytes) -> None:
    """A custody ledger that somebody else wrote to."""
    store = MemoryStore()
    for number, line in enumerate(data.split(b"\n")[:20], 1):
        store.put(f"custody/ledger/{number:012d}", line + b"\n")
    index = Index(CustodyLedger(store, HostClock()), [agency().root])
    with contextlib.suppress(BwvError):
        index.catch_up()


def fuzz_wire(data: bytes) -> None:
    """What a capture process sends: the agent believes nothing of it."""
    with contextlib.suppress(wire.WireError):
        for message in wire.Reader().feed(data):
            if message.kind is wire.Kind.UNITS:
                for unit in wire.parse_units(message.body, Track.VIDEO):
                    if unit.track is not Track.VIDEO or unit.duration_ns <= 0:
                        raise FindingError("a unit that no camera sends was accepted")
            else:
                _ = message.fields


TARGETS: dict[str, Callable[[bytes], None]] = {
    "anchor": fuzz_anchor,
    "canonical": fuzz_canonical,
    "config": fuzz_config,
    "custody": fuzz_custody,
    "h264": fuzz_h264,
    "line": fuzz_line,
    "mp4": fuzz_mp4,
    "scenario": fuzz_scenario,
    "sealed": fuzz_sealed,
    "statement": fuzz_statement,
    "survey": fuzz_survey,
    "trust": fuzz_trust,
    "vault": fuzz_vault,
    "wire": fuzz_wire,
}
