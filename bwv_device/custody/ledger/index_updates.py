"""What each kind of custody line changes in the index."""

from __future__ import annotations

import datetime
import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from cryptography import x509

from bwv_device.custody.ledger import (
    bodies,
    quarantine_updates,
    rules,
    software_updates,
    trust_updates,
    viewing_updates,
    words,
)
from bwv_device.custody.ledger.ledger import CustodyLine, EffectError
from bwv_device.custody.ledger.request_matching import SURE_NS, asking
from bwv_device.custody.ledger.signers import signer_person
from bwv_device.custody.retention_dates import Retention
from bwv_device.formats import store_keys
from bwv_device.formats.grammar.forms import Hex
from bwv_device.verification.trust_list import read_trust_list


def apply(db: sqlite3.Connection, line: CustodyLine, roots: Sequence[x509.Certificate]) -> None:
    fields = bodies.joined(line.kind, line.fields, line.body)
    if line.kind in ("trust", "trust-proposed"):  # what stands outside of the ledger comes in read
        fields["trust"] = read_trust_list(fields["list"], roots)
    EFFECTS[line.kind](db, line, fields)
    for recording in _mentioned(fields):
        db.execute("INSERT OR IGNORE INTO mentions VALUES (?, ?)", (recording, line.number))


def _mentioned(fields: dict[str, Any]) -> set[str]:
    """Recordings that a line speaks of, by their full names."""
    named = [fields.get("recording"), *_listed(fields, "recordings"), *_listed(fields, "found")]
    return {name for name in named if isinstance(name, str) and "/" in name}


def _listed(fields: dict[str, Any], name: str) -> list[Any]:
    value = fields.get(name)
    return value if isinstance(value, list) else []


# What nobody gave a category.
UNREVIEWED = "unreviewed"
# Recordings that one line may hide or erase.
BATCH_LIMIT = 1000

Effect = Callable[[sqlite3.Connection, CustodyLine, dict[str, Any]], None]


def _docking(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    device, nonce, refused = fields["device"], fields["nonce"], fields.get("refused", "")
    db.execute("INSERT INTO dockings VALUES (?, ?, ?, ?)", (device, nonce, line.number, refused))
    if refused:
        quarantine_updates.refused_again(db, store_keys.docking(device, nonce))
        return
    db.execute("INSERT OR IGNORE INTO cameras (device) VALUES (?)", (device,))
    anchor, start = fields["anchor"], fields["start"]
    db.execute(
        "UPDATE cameras SET boot = ?, number = ?, digest = ?, start_number = ?, start_digest = ?, "
        "length = ?, docked_ns = ?, clock = ?, battery = ?, waiting = ? WHERE device = ? AND "
        "number <= ?",
        (anchor["boot"], anchor["number"], anchor["digest"], start["number"], start["digest"],
         fields["length"], line.utc_ns, fields["clock"], fields["battery"], len(fields["files"]),
         device, anchor["number"]),
    )  # fmt: skip
    if fork := fields.get("fork"):
        db.execute(
            "UPDATE cameras SET forked_from = CASE WHEN whole_since THEN min(forked_from, ?1) ELSE "
            "?1 END, whole_since = max(whole_since, ?2) WHERE device = ?3",
            (fork["from"], fork["since"], device),
        )
    for piece in fields["pieces"]:
        db.execute(
            "INSERT OR IGNORE INTO pieces VALUES (?, ?, ?, ?, ?)",
            (device, piece["boot"], piece["offset"], piece["length"], piece["key"]),
        )
    if lost := fields.get("lost"):
        told = f"{device} removed {', '.join(lost)} on receipts that are not in this ledger: "
        told += "the store was set back to an older state"
        db.execute("INSERT INTO problems VALUES (?, ?)", (line.number, told))
    in_force = rules.in_force(db)
    for recording in fields["recordings"]:
        _recording(db, line, device, recording, in_force)
    _absent(db, line, device, fields.get("absent", []))
    for recording in fields.get("flagged", []):
        name = f"{device}/{recording}"
        db.execute("UPDATE recordings SET flagged = 1 WHERE id = ?", (name,))
    for file in fields["files"]:
        _announced(db, line, device, file)


def _announced(
    db: sqlite3.Connection, line: CustodyLine, device: str, file: dict[str, Any]
) -> None:
    new = db.execute(
        "INSERT OR IGNORE INTO files VALUES (?1, ?2, ?3, ?4, ?5, '', '', 'expected', '', ?6, ?6, "
        "'')",
        (device, file["segment"], f"{device}/{file['recording']}", file["length"],
         file["sha256"], line.number),
    )  # fmt: skip
    if not new.rowcount:
        db.execute(
            "UPDATE files SET announced = ?, status = CASE status WHEN 'absent' THEN 'expected' "
            "ELSE status END WHERE device = ? AND segment = ?",
            (line.number, device, file["segment"]),
        )


def _absent(
    db: sqlite3.Connection, line: CustodyLine, device: str, files: list[dict[str, Any]]
) -> None:
    """Recorded, and not delivered: they stay so until they come after all."""
    for file in files:
        db.execute(
            "INSERT INTO files VALUES (?1, ?2, ?3, ?4, ?5, '', '', 'absent', '', ?6, 0, '') "
            "ON CONFLICT (device, segment) DO UPDATE SET status = 'absent', n = ?6 "
            "WHERE status = 'expected'",
            (device, file["segment"], f"{device}/{file['recording']}", file["length"],
             file["sha256"], line.number),
        )  # fmt: skip
    if files:
        names = ", ".join(file["segment"] for file in files[:20])
        told = f"{device} recorded {len(files)} files that are not on its card and never came: "
        db.execute("INSERT INTO problems VALUES (?, ?)", (line.number, told + names))


def _recording(
    db: sqlite3.Connection,
    line: CustodyLine,
    device: str,
    fields: dict[str, Any],
    in_force: Retention,
) -> None:
    name = f"{device}/{fields['recording']}"
    due_day = in_force.erased_on(fields["latest_ns"], None, UNREVIEWED).toordinal()
    new = db.execute(
        "INSERT OR IGNORE INTO recordings (id, device, recording, officer, trigger_, start_ns, "
        "end_ns, error_ns, latest_ns, flagged, docking, due_day) VALUES (?, ?, ?, ?, ?, ?, ?, ?, "
        "?, ?, ?, ?)",
        (name, device, fields["recording"], fields["officer"], fields["trigger"],
         fields["start_ns"], fields["end_ns"], fields["error_ns"], fields["latest_ns"],
         int(fields["flagged"]), line.number, due_day),
    )  # fmt: skip
    if not new.rowcount:
        if fields["flagged"]:
            db.execute("UPDATE recordings SET flagged = 1 WHERE id = ?", (name,))
        db.execute("DELETE FROM markers WHERE recording = ?", (name,))
    _note_span(db, fields)
    for marker in fields["markers"]:
        values = (name, marker["marker"], marker["at_ns"])
        db.execute("INSERT INTO markers VALUES (?, ?, ?)", values)


def _note_span(db: sqlite3.Connection, fields: dict[str, Any]) -> None:
    """The longest time that a recording may have been of, for searches between bounds."""
    span_ns = fields["latest_ns"] - fields["start_ns"]
    if fields["error_ns"] <= SURE_NS:
        db.execute(
            "INSERT INTO meta VALUES ('longest', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1 "
            "WHERE CAST(value AS INTEGER) < ?1", (span_ns,)
        )  # fmt: skip


def _intake(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    device, late = fields["device"], dict[str, int]()
    for file in fields["files"]:
        changed = db.execute(
            "UPDATE files SET key = ?, version = ?, status = 'received', replicas = ?, n = ? "
            "WHERE device = ? AND segment = ? AND sha256 = ? AND status IN ('expected', 'missing') "
            "RETURNING recording",
            (file["key"], file["version"], ",".join(file["replicas"]), line.number, device,
             file["segment"], file["sha256"]),
        ).fetchone()  # fmt: skip
        if changed is None:
            raise EffectError(f"{file['segment']} was not expected, or received before")
        late[changed["recording"]] = int(file["late"])
    in_force = rules.in_force(db)
    for name, is_late in late.items():
        _received(db, line, name, is_late, in_force)
    _count_waiting(db, device)


def _received(
    db: sqlite3.Connection, line: CustodyLine, name: str, late: int, in_force: Retention
) -> None:
    """A late rest of what was erased is a recording again, until its own days are over; what comes
    to a hidden one is to be hidden too."""
    found = "SELECT latest_ns, category, erased_ns, hidden_ns, erasing FROM recordings WHERE id = ?"
    row = db.execute(found, (name,)).fetchone()
    if row is None:
        return
    if row["erasing"] is not None and row["erased_ns"] is None:
        raise EffectError(f"{name} is being erased: what came late is taken when that has ended")
    due_day = in_force.erased_on(row["latest_ns"], line.utc_ns, row["category"]).toordinal()
    values = (line.utc_ns, late, due_day, name)
    db.execute("UPDATE recordings SET received_ns = ?, late = ?, due_day = ? WHERE id = ?", values)
    if row["erased_ns"] is not None:
        db.execute(
            "UPDATE recordings SET erasing = NULL, erased_ns = NULL, hidden_ns = NULL, hiding = 0, "
            "unhide = 0 WHERE id = ?", (name,)
        )  # fmt: skip
    elif row["hidden_ns"] is not None and row["erasing"] is None:
        db.execute("UPDATE recordings SET hiding = 1 WHERE id = ?", (name,))


def _count_waiting(db: sqlite3.Connection, device: str) -> None:
    db.execute(
        "UPDATE cameras SET waiting = (SELECT count(*) FROM files WHERE device = ? AND status = "
        "'expected') WHERE device = ?",
        (device, device),
    )


def _hold(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    recording = _existing(db, fields["recording"])
    if recording["erased_ns"] is not None or recording["erasing"]:
        raise EffectError("it is erased")
    db.execute(
        "INSERT INTO holds (n, recording, reason, case_, request) VALUES (?, ?, ?, ?, ?)",
        (line.number, fields["recording"], fields["reason"], fields.get("case", ""),
         fields.get("request", "")),
    )  # fmt: skip
    # Held is restored: what is held must be seen.
    if recording["hidden_ns"] is not None:
        db.execute(
            "UPDATE recordings SET hidden_ns = NULL, unhide = 1 WHERE id = ?",
            (fields["recording"],),
        )


def _release_proposed(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    changed = db.execute(
        "UPDATE holds SET proposed = ?, proposer = ? WHERE n = ? AND released IS NULL",
        (line.number, signer_person(db, line), fields["hold"]),
    )
    if changed.rowcount != 1:
        raise EffectError(f"there is no hold {fields['hold']}")


def _release_approved(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    hold = db.execute("SELECT * FROM holds WHERE n = ?", (fields["hold"],)).fetchone()
    if hold is None or hold["released"] is not None or hold["proposed"] is None:
        raise EffectError(f"nobody proposed to release hold {fields['hold']}")
    if hold["proposer"] == signer_person(db, line):
        raise EffectError("who proposes a release can't approve it")
    db.execute("UPDATE holds SET released = ? WHERE n = ?", (line.number, fields["hold"]))


def _category(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    _existing(db, fields["recording"])
    db.execute(
        "UPDATE recordings SET category = ? WHERE id = ?", (fields["category"], fields["recording"])
    )
    rules.set_due(db, "id = ?", fields["recording"])


def _review(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    _existing(db, fields["recording"])
    db.execute("UPDATE recordings SET reviewed = 1 WHERE id = ?", (fields["recording"],))


def _issue(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    db.execute("INSERT OR IGNORE INTO cameras (device) VALUES (?)", (fields["device"],))
    camera = db.execute("SELECT * FROM cameras WHERE device = ?", (fields["device"],)).fetchone()
    if camera["officer"] or camera["revoked"]:
        raise EffectError("the camera is issued already, or revoked")
    if fields["version"] <= camera["version"]:
        raise EffectError("an assignment's version grows")
    db.execute(
        "UPDATE cameras SET officer = ?, version = ?, profile = ? WHERE device = ?",
        (fields["officer"], fields["version"], str(fields.get("profile", "")), fields["device"]),
    )


def _return(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    changed = db.execute(
        "UPDATE cameras SET officer = '', profile = '', version = ? WHERE device = ? AND "
        "officer != ''",
        (fields["version"], fields["device"]),
    )
    if changed.rowcount != 1:
        raise EffectError("the camera is issued to nobody")


def _revoke(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    db.execute("INSERT OR IGNORE INTO cameras (device) VALUES (?)", (fields["device"],))
    # By the line, not by its words: they may go, and it stays revoked.
    values = (f"line {line.number}", fields["device"])
    db.execute("UPDATE cameras SET revoked = ? WHERE device = ?", values)


def _fork_settled(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    """A person looked at a fork: that proof, and heads that were kept until then, refuse nothing
    any more."""
    if type(fields["heads"]) is not int:
        raise EffectError("it names no number of heads")
    changed = db.execute(
        "UPDATE cameras SET settled_proof = ?, settled_heads = ? WHERE device = ?",
        (str(fields["proof"]), fields["heads"], fields["device"]),
    )
    if changed.rowcount != 1:
        raise EffectError(f"there is no camera {fields['device']}")


def _hiding(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    """Out of sight from here on; the objects follow."""
    for name in _names(fields):
        _unheld(db, name)
        rules.refuse_early(db, line, name, hide=True)
        values = (line.utc_ns, name)
        db.execute("UPDATE recordings SET hidden_ns = ?, hiding = 1 WHERE id = ?", values)


def _hidden(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    for name in _names(fields):
        if not _existing(db, name)["hiding"]:
            raise EffectError(f"nobody decided to hide {name}")
        db.execute("UPDATE recordings SET hiding = 0 WHERE id = ?", (name,))


def _restored(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    recording = _existing(db, fields["recording"])
    if recording["erasing"] or recording["erased_ns"] is not None:
        raise EffectError("it is erased")
    db.execute(
        "UPDATE recordings SET hidden_ns = NULL, hiding = 0, unhide = 0 WHERE id = ?",
        (fields["recording"],),
    )


def _erasing(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    """From here on nothing can hold them any more: the decision is made before the first byte
    goes."""
    for name in _names(fields):
        _unheld(db, name)
        if _existing(db, name)["erasing"]:
            raise EffectError(f"{name} is being erased already")
        rules.refuse_early(db, line, name, hide=False)
        db.execute("UPDATE recordings SET erasing = ? WHERE id = ?", (line.number, name))


def _erased(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    root = fields["certificates"]
    if not isinstance(root, str) or not Hex(64).fits(root):
        raise EffectError("it names no certificates")
    for name in _names(fields):
        recording = _existing(db, name)
        if not recording["erasing"] or recording["erased_ns"] is not None:
            raise EffectError(f"nobody decided to erase {name}, or it is erased")
        db.execute("UPDATE recordings SET erased_ns = ? WHERE id = ?", (line.utc_ns, name))
        db.execute(
            "UPDATE files SET status = CASE status WHEN 'received' THEN 'erased' WHEN 'expected' "
            "THEN 'missing' WHEN 'absent' THEN 'missing' ELSE status END, n = ? WHERE recording = "
            "?",
            (line.number, name),
        )
        _count_waiting(db, recording["device"])


def _names(fields: dict[str, Any]) -> list[str]:
    """The recordings of a batch, each once."""
    names: list[str] = fields["recordings"]
    if not 0 < len(names) <= BATCH_LIMIT or len(set(names)) != len(names):
        raise EffectError(f"it names no recordings, more than {BATCH_LIMIT}, or one twice")
    return names


def _request(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    _typed(fields, str, "request", "type", "received", "due", "place", "description", "letter")
    _typed(fields, int, "from_ns", "to_ns", "incident_ns")
    _typed(fields, bool, "in_time")
    _typed(fields, dict, "figures")
    for name in ("devices", "officers"):
        _texts(fields, name)
    for day in (fields["received"], fields["due"]):
        _canonical_day(day)
    db.execute(
        "INSERT INTO requests (id, n, kind, received, due, from_ns, to_ns, incident_ns, in_time, "
        "place, description, devices, officers, letter, figures) VALUES (?, ?, ?, ?, ?, ?, ?, ?, "
        "?, ?, ?, ?, ?, ?, ?)",
        (fields["request"], line.number, fields["type"], fields["received"], fields["due"],
         fields["from_ns"], fields["to_ns"], fields["incident_ns"], int(fields["in_time"]),
         fields["place"], fields["description"], json.dumps(fields["devices"]),
         json.dumps(fields["officers"]), fields["letter"], json.dumps(fields["figures"])),
    )  # fmt: skip


def _typed(fields: dict[str, Any], kind: type, *names: str) -> None:
    for name in names:
        if type(fields[name]) is not kind:
            raise EffectError(f"its {name!r} is none")


def _texts(fields: dict[str, Any], name: str) -> None:
    _typed(fields, list, name)
    if not all(isinstance(text, str) for text in fields[name]):
        raise EffectError(f"its {name!r} are no texts")


def _canonical_day(text: str) -> None:
    """2026-11-28, and no other way to write it."""
    if datetime.date.fromisoformat(text).isoformat() != text:
        raise EffectError(f"{text} is no day")


def _request_step(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    """It changes when the answer is due; "" while the clock stands still."""
    _typed(fields, str, "request", "step", "about", "day", "due")
    due, day = fields["due"], fields["day"]
    _canonical_day(day)
    if due:
        _canonical_day(due)
    changed = db.execute(
        "UPDATE requests SET due = ? WHERE id = ? AND closed IS NULL", (due, fields["request"])
    )
    if changed.rowcount != 1:
        raise EffectError(f"there is no open request {fields['request']}")
    values = (fields["request"], line.number, fields["step"], fields["about"], day, due)
    db.execute("INSERT INTO request_steps VALUES (?, ?, ?, ?, ?, ?)", values)


def _request_closed(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    _typed(fields, str, "request", "outcome")
    if not fields["outcome"]:
        raise EffectError("it says no outcome")
    changed = db.execute(
        "UPDATE requests SET closed = ?, outcome = ? WHERE id = ? AND closed IS NULL",
        (line.number, fields["outcome"], fields["request"]),
    )
    if changed.rowcount != 1:
        raise EffectError(f"there is no open request {fields['request']}")


def _completeness(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    """What it names is lost; what it does not name any more was found again."""
    if fields["all_named"] is True:
        db.execute("UPDATE files SET lost = '' WHERE lost != ''")
    for named in fields["named"]:
        values = (str(named["why"]), named["device"], named["segment"])
        db.execute("UPDATE files SET lost = ? WHERE device = ? AND segment = ?", values)
    if fields["lost"]:
        names = ", ".join(f"{named['device']} {named['segment']}" for named in fields["named"][:20])
        told = f"{fields['lost']} objects are lost or not whole: {names}"
        db.execute("INSERT INTO problems VALUES (?, ?)", (line.number, told))


def _moved(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    """The store is at another place, which keeps other versions of files."""
    for file in fields["versions"]:
        values = (str(file["version"]), file["device"], file["segment"])
        db.execute("UPDATE files SET version = ? WHERE device = ? AND segment = ?", values)


def _searched(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    _typed(fields, str, "request")
    _texts(fields, "found")


def _disclosed(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    _typed(fields, str, "recording")


def _told(db: sqlite3.Connection, line: CustodyLine, fields: dict[str, Any]) -> None:
    """Something that happened; it changes nothing."""


def _existing(db: sqlite3.Connection, name: str) -> dict[str, Any]:
    row: dict[str, Any] | None = db.execute(
        "SELECT * FROM recordings WHERE id = ?", (name,)
    ).fetchone()
    if row is None:
        raise EffectError(f"there is no recording {name}")
    return row


def _unheld(db: sqlite3.Connection, name: str) -> None:
    recording = _existing(db, name)
    held = "SELECT 1 FROM holds WHERE recording = ? AND released IS NULL"
    if db.execute(held, (name,)).fetchone() is not None:
        raise EffectError(f"{name} is held")
    if asked := asking(db, recording):
        raise EffectError(f"{name} is asked for by request {asked[0]}")


EFFECTS: dict[str, Effect] = {
    "docking": _docking,
    "intake": _intake,
    "quarantine": quarantine_updates.put,
    "quarantine-owner": quarantine_updates.owned,
    "quarantine-again": quarantine_updates.again,
    "discard-proposed": quarantine_updates.proposed,
    "discard-approved": quarantine_updates.approved,
    "discarded": quarantine_updates.discarded,
    "hold": _hold,
    "release-proposed": _release_proposed,
    "release-approved": _release_approved,
    "category": _category,
    "review": _review,
    "issue": _issue,
    "return": _return,
    "revoke": _revoke,
    "fork-settled": _fork_settled,
    "hiding": _hiding,
    "hidden": _hidden,
    "restored": _restored,
    "erasing": _erasing,
    "erased": _erased,
    "request": _request,
    "request-step": _request_step,
    "request-closed": _request_closed,
    "search": _searched,
    "completeness": _completeness,
    "disclosed": _disclosed,
    "viewed": viewing_updates.viewed,
    "exported": viewing_updates.exported,
    "case-member": viewing_updates.case_member,
    "audit-read": viewing_updates.audit_read,
    "desk-code": software_updates.desk_code,
    "moved": _moved,
    "words-erasing": words.erasing,
    "words-erased": words.erased,
    "reminder": _told,
    "rules-proposed": rules.proposed,
    "rules-approved": rules.approved,
    "software": software_updates.named,
    "trust": trust_updates.first,
    "trust-proposed": trust_updates.proposed,
    "trust-approved": trust_updates.approved,
}
