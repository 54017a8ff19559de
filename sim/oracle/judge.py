"""All checks over one shift."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bwv_device.custody.ledger.ledger import parse as parse_line
from bwv_device.verification.second_verifier import Judge
from bwv_device.verification.vault_report import Report, verify
from hal.ports import Anchor
from sim.faults import BY_NAME, Promise
from sim.oracle.causes import cause_findings
from sim.oracle.commands import command_findings
from sim.oracle.course import courses
from sim.oracle.evidence import Finding, Record, read_record
from sim.oracle.footage import footage_findings
from sim.oracle.gap_claims import gap_findings
from sim.oracle.hands import hand_findings
from sim.oracle.ledger_times import diary_findings
from sim.oracle.lights_and_beeps import sign_findings
from sim.oracle.notices import notice_findings
from sim.oracle.snapshots import snapshot_findings
from sim.oracle.video_signatures import signature_findings
from sim.world.observations import Witness
from sim.world.test_keys import BenchAgency
from sim.world.world import World

MEMORY = Path("/dev/shm")  # noqa: S108  a file system in memory, where there is one


def judge(world: World, witness: Witness, agency: BenchAgency) -> list[Finding]:
    """Everything that was promised and not kept, in the order of the promises."""
    harmed = any(BY_NAME[t.name].promise is Promise.DETECTED for t in witness.troubles)
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        vault = Path(folder, "vault")
        world.disk.dump(vault)
        record = read_record(world, witness, agency, vault)
        anchors = [] if not harmed else _newest_anchor(world)
        report = verify(vault, [agency.root], anchors)
        findings = list(_verdicts(report, vault, agency, anchors, record, harmed=harmed))
    findings += _secrecy(record)
    findings += notice_findings(record)
    course_of_lives = list(courses(record))
    findings += sign_findings(record, course_of_lives)
    for course in course_of_lives:
        findings += hand_findings(record, course)
        findings += cause_findings(record, course)
    if report.ok:
        findings += footage_findings(record)
        findings += gap_findings(record)
        findings += snapshot_findings(record)
        findings += diary_findings(record)
        findings += command_findings(record)
        findings += signature_findings(record)
    return findings


def _newest_anchor(world: World) -> list[Anchor]:
    """What left the camera over the air, and what the dock was offered."""
    said = [m.payload for m in world.broker.messages[-200:] if m.topic.endswith("/state")]
    heads = [json.loads(payload)["head"] for payload in said]
    anchors = [Anchor(*(head[name] for name in Anchor._fields)) for head in heads if head]
    anchors += _offered(world)
    return sorted(anchors, key=lambda anchor: anchor.number)[-1:]


def _verdicts(
    report: Report,
    vault: Path,
    agency: BenchAgency,
    anchors: list[Anchor],
    record: Record,
    *,
    harmed: bool,
) -> Iterator[Finding]:
    end_ns = record.world.loop.now_ns()
    second = Judge(vault, [agency.root], [anchor._asdict() for anchor in anchors])
    word = second.judge()
    if (word == "changed") == report.ok:
        text = f"the verifiers disagree: {word} {second.complaints[:2]}, {report.problems[:2]}"
        yield Finding("two verifiers", end_ns, text)
    if not report.ok and not harmed:
        bad = [verdict for verdict in report.segments if verdict.status.value in BAD]
        yield Finding("verifies", end_ns, f"{report.problems[:3]} {bad[:3]}")
    elif not report.complete and report.ok:
        yield Finding("closed in order", end_ns, f"{report.remarks[-3:]}")


def _offered(world: World) -> list[Anchor]:
    """Heads that dockings brought to the store, as custody wrote them down."""
    heads = []
    for key, data in world.uplink.store.everything():
        if key.startswith("custody/ledger/"):
            fields = parse_line(data).fields
            if anchor := fields.get("anchor"):
                heads.append(Anchor(fields["device"], **anchor))
    return heads


BAD = ("bad", "missing", "not in the ledger")


def _secrecy(record: Record) -> Iterator[Finding]:
    witness, end_ns = record.witness, record.world.loop.now_ns()
    for path in witness.in_clear[:3]:
        yield Finding("no plaintext", end_ns, f"{path} was written with the marker in clear")
    for path in witness.removed[:3]:
        yield Finding(
            "no removal without receipt", end_ns, f"{path} was removed, and the store lacks it"
        )
    for text in witness.overfull[:3]:
        yield Finding("bounded queues", end_ns, text)
