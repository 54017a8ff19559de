"""Every parser that reads from storage or from outside, as a function of bytes.

A target returns when the input was read, or refused with the error that is documented for it;
whatever else it raises is a finding. `tests/fuzz/corpus/NAME/` holds where to start from.
"""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bwv_device import config, keys
from bwv_device.backends import broker_frames
from bwv_device.backends.broker_process import BrokerProcess
from bwv_device.camera.commands import check
from bwv_device.camera.vault.recovery import survey
from bwv_device.custody.ledger.index import Index
from bwv_device.custody.ledger.ledger import CustodyLedger
from bwv_device.custody.ledger.store_identity import draw_identity, make_identity
from bwv_device.errors import BwvError, VaultError
from bwv_device.fleet import watch_table
from bwv_device.fleet.roster import FORKED, Roster
from bwv_device.formats import canonical_json, statement, store_keys
from bwv_device.formats.age_payload import Opener
from bwv_device.formats.certificates import ROLES, chain_leads_to
from bwv_device.formats.grammar.decode import GrammarError
from bwv_device.formats.grammar.ledger_kinds import KINDS, typed
from bwv_device.formats.grammar.statements import (
    Assignment,
    Docking,
    Greeting,
    Receipt,
    Refusal,
)
from bwv_device.formats.ledger_lines import parse_line
from bwv_device.formats.media import h264
from bwv_device.formats.media.mp4_reader import fragments, read_init, units
from bwv_device.formats.statement import Statement
from bwv_device.verification.fragment_stream import FragmentStream
from bwv_device.verification.second_verifier import KINDS as SECOND_KINDS
from bwv_device.verification.second_verifier import Judge, misfit
from bwv_device.verification.signed_heads import parse_head
from bwv_device.verification.vault_report import verify
from hal.host import HostClock
from hal.mqtt.paho_link import _Client as Client
from hal.ports import Track, UtcReading
from hal.rpi.capture import pipe_messages
from hal.simulated.disk import SimulatedDisk
from hal.simulated.power_dock_and_place import SeededEntropy
from hal.simulated.store import MemoryStore
from sim.scenario.play import parse as parse_scenario
from sim.world.test_keys import BenchAgency

MEMORY = Path("/dev/shm")
RATE_HZ = 48_000
PIECE = 4096


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
        if canonical_json.encode(line.fields) != line.signed:
            raise FindingError("a line that is not canonical was accepted")


def fuzz_canonical(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        if canonical_json.encode(canonical_json.decode(data)) != data:
            raise FindingError("a value that is not canonical was accepted")


def fuzz_grammar(data: bytes) -> None:
    """A line's fields: both readers of the grammar come to the same."""
    try:
        fields = canonical_json.decode(data)
    except ValueError:
        return
    kind = fields.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        return
    try:
        typed(kind, fields)
        fits = True
    except GrammarError:
        fits = False
    if fits != (misfit(SECOND_KINDS[kind], fields) == ""):
        raise FindingError(f"the readers of the grammar differ on a line of the kind {kind!r}")


def fuzz_broker_frames(data: bytes) -> None:
    """What the broker's process tells the recording one."""
    link = BrokerProcess({})
    listener = Silent()
    child: Any = object()
    link._number, link._listener, link._child = 1, listener, child
    try:
        for told in broker_frames.Reader().feed(data):
            link._hear(child, told)
    except (ValueError, KeyError, TypeError):  # that process is ended, and another one started
        return


class Silent:
    """Hears everything."""

    def connected(self) -> None: ...
    def acknowledged(self, token: int) -> None: ...
    def refused(self, token: int, reason: str, *, final: bool) -> None: ...
    def received(self, topic: str, payload: bytes) -> None:
        if len(payload) > broker_frames.LINE_LIMIT:
            raise FindingError("a payload longer than a line")

    def sifted_out(self, reason: str, count: int) -> None: ...
    def closed(self, reason: str) -> None: ...


def fuzz_survey(data: bytes) -> None:
    """What a boot reads of a damaged ledger: the first two bytes say where it is cut in files."""
    disk = SimulatedDisk()
    at = int.from_bytes(data[:2], "big")
    for boot, part in enumerate((data[2 : 2 + at], data[2 + at :]), 1):
        path = f"ledger/{boot:08d}.ledger"
        disk.create(path)
        disk.append(path, part)
    with contextlib.suppress(VaultError):
        survey(disk, agency().device.certificate_pem)


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
        chain_leads_to(chain, agency().root)


def fuzz_mp4(data: bytes) -> None:
    with contextlib.suppress(ValueError, KeyError, IndexError, struct.error):
        read_init(data)
    with contextlib.suppress(ValueError, KeyError, IndexError, struct.error):
        for moof, mdat in fragments(data):
            units(data, moof, mdat, RATE_HZ)
    stream = FragmentStream()
    with contextlib.suppress(ValueError, KeyError, IndexError, struct.error):
        for at in range(0, len(data), PIECE):
            piece = data[at : at + PIECE]
            stream.room(len(piece))[:] = piece
            for fragment in stream.gap() if piece[:1] == b"\0" and at else stream.take(len(piece)):
                units(*fragment, RATE_HZ)
        for fragment in stream.cut():
            units(*fragment, RATE_HZ)


def fuzz_h264(data: bytes) -> None:
    for parse in (h264.is_picture, h264.parameter_sets, h264.split_keyframe):
        with contextlib.suppress(ValueError):
            parse(data)


def fuzz_anchor(data: bytes) -> None:
    with contextlib.suppress(VaultError):
        parse_head(data.decode("utf-8", "replace"))


def fuzz_statement(data: bytes) -> None:
    """What comes from a store, or lies in one: receipts, greetings, assignments, dockings."""
    with contextlib.suppress(statement.StatementError):
        said = statement.parse(data)
        if not data.startswith(canonical_json.encode(said.value)):
            raise FindingError("a statement that is not canonical was accepted")
    with contextlib.suppress(statement.StatementError):
        statement.of_camera(data, Docking, "bench-camera-1", [agency().root])
    for kind in (Greeting, Receipt, Refusal, Assignment):
        with contextlib.suppress(statement.StatementError):
            statement.of_role(data, kind, ROLES, [agency().root])


def fuzz_custody(data: bytes) -> None:
    """A custody ledger that somebody else wrote to."""
    store = MemoryStore()
    make_identity(store, draw_identity(SeededEntropy("store")))
    for number, line in enumerate(data.split(b"\n")[:20], 1):
        store.put(store_keys.line(number), line + b"\n")
    index = Index(CustodyLedger(store, HostClock(), SeededEntropy("x")), [agency().root])
    with contextlib.suppress(BwvError):
        index.catch_up()


def fuzz_wire(data: bytes) -> None:
    """What a capture process sends: the agent believes nothing of it."""
    with contextlib.suppress(pipe_messages.WireError):
        for message in pipe_messages.Reader().feed(data):
            if message.kind is pipe_messages.Kind.UNITS:
                for unit in pipe_messages.parse_units(message.body, Track.VIDEO):
                    if unit.track is not Track.VIDEO or unit.duration_ns <= 0:
                        raise FindingError("a unit that no camera sends was accepted")
            else:
                _ = message.fields


def fuzz_command(data: bytes) -> None:
    """Nothing but the desk's own, unchanged words may be accepted."""
    read = check.read(data, "bench-camera-1", [agency().root])
    if isinstance(read, Statement):
        check.judge(read, 0, UtcReading(1_772_438_400 * 10**9, 10**9, "ntp"))
        if data not in signed_commands():
            raise FindingError("a command that the desk did not sign was accepted")


@cache
def signed_commands() -> frozenset[bytes]:
    folder = Path(__file__).parent / "corpus" / "command"
    return frozenset(path.read_bytes() for path in folder.glob("good*"))


def fuzz_roster(data: bytes) -> None:
    """A desk's roster: the topic's end, LF, the payload. No ledger may seem to fork."""
    leaf, _, payload = data.partition(b"\n")
    roster = Roster([agency().root])
    for name, kept in roster_start():
        roster.feed(name, kept, 0)
    for prefix in ("bench-camera-1", "another"):
        topic = f"bwv/v1/example-agency/{prefix}/{leaf.decode('latin-1')}"
        roster.feed(topic, payload, 1)
        roster.feed(topic, payload, 2)
    for seen in roster.cameras.values():
        row = watch_table.row(seen, 3)
        watch_table.troubles(row)
        watch_table.render([row], 1, "")
        if seen.ledger == FORKED:
            raise FindingError("a fork that nobody signed")


@cache
def roster_start() -> tuple[tuple[str, bytes], ...]:
    folder = Path(__file__).parent / "corpus" / "roster"
    start = [path.read_bytes().partition(b"\n") for path in sorted(folder.glob("real*"))]
    return tuple((f"bwv/v1/example-agency/bench-camera-1/{leaf.decode()}", payload)
                 for leaf, _, payload in start)  # fmt: skip


def fuzz_mqtt(data: bytes) -> None:
    """What a hostile broker sends: paho in our connection. Bounded, and any error is `OSError` or
    such that ends one connection; a hang would be noticed."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5,
                        client_id="fuzzed", reconnect_on_failure=False)  # fmt: skip
        client.on_message = lambda *_: None
        client._sock = ours
        ours.setblocking(False)
        client._state = 1
        theirs.sendall(data[:30_000])
        theirs.shutdown(socket.SHUT_WR)
        # paho_link catches whatever is raised; here only what it can't catch is let through.
        with contextlib.suppress(Exception):
            for _ in range(2000):
                if client.loop_read() != 0:
                    break


TARGETS: dict[str, Callable[[bytes], None]] = {
    "command": fuzz_command,
    "roster": fuzz_roster,
    "mqtt": fuzz_mqtt,
    "anchor": fuzz_anchor,
    "broker-frames": fuzz_broker_frames,
    "grammar": fuzz_grammar,
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
