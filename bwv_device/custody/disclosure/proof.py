"""What a package brings as proof: custody's lines about its recording, and a signature over
everything (docs/format.md, 11)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

from bwv_device.custody.disclosure.package_films import Package
from bwv_device.custody.disclosure.request import DisclosureRequest
from bwv_device.custody.history import published, standing
from bwv_device.custody.ledger.ledger import LINE_LIMIT
from bwv_device.custody.session import CustodySession
from bwv_device.files import file_sha256
from bwv_device.formats import canonical_json, statement, store_keys
from bwv_device.formats.grammar.purposes import PACKAGE
from bwv_device.verification.tlog.checkpoint import read_signed

# Who looked, and who asked for what.
OF_PEOPLE = ("viewed", "exported", "disclosed", "request", "request-step", "request-closed")
SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"


def custody_proof(
    session: CustodySession,
    recording: str,
    again: Callable[[], bool] = lambda: False,
    *,
    is_whole: bool = True,
) -> bytes:
    """The lines about this recording alone, each with its place in the log; and what witnesses said
    of the log. `again` waits for them to see the newest line; False to go on without. Who looked
    and who asked concerns nobody who gets a part."""
    while not _all_seen(session, recording) and again():
        session.check()
    index, trust = session.index, session.trust()
    checkpoint = published.newest(index, session.store) if trust else None
    size = read_signed(checkpoint, trust.log).checkpoint.size if checkpoint and trust else 0
    lines, others = list[dict[str, Any]](), list[int]()
    mine = "SELECT n FROM mentions WHERE recording = ? ORDER BY n"
    for row in index.rows(mine, recording):
        number = row["n"]
        count = index.row(
            "SELECT count(*) AS c, kind FROM mentions JOIN lines USING (n) WHERE n = ?", number
        )
        if count is None or count["c"] != 1 or (count["kind"] in OF_PEOPLE and not is_whole):
            others.append(number)
            continue
        lines.append(_line(session, number, size))
    found = index.row("SELECT list FROM trust WHERE version = ?", trust.version) if trust else None
    return canonical_json.encode(
        {
            "lines": lines,
            "others": others,
            "checkpoint": checkpoint.decode("utf-8") if checkpoint else "",
            "trust": found["list"] if found else "",
        }
    )


def _all_seen(session: CustodySession, recording: str) -> bool:
    """Whether there are no witnesses, or a quorum has seen all about this recording."""
    trust = session.trust()
    if trust is None or not trust.quorum:
        return True
    row = session.index.row("SELECT max(n) AS n FROM mentions WHERE recording = ?", recording)
    newest = int(row["n"] or 0) if row else 0
    return any(seen.size >= newest and seen.utc_s for seen in standing.seen(session.index))


def _line(session: CustodySession, number: int, size: int) -> dict[str, Any]:
    index = session.index
    row = index.row(
        "SELECT certificate FROM lines JOIN signers ON fingerprint = by WHERE n = ?", number
    )
    assert row is not None
    raw = session.store.read(store_keys.line(number), LINE_LIMIT)
    proof = index.tree.inclusion(number, size) if number <= size else []
    return {
        "number": number,
        "line": raw.decode("ascii").rstrip("\n"),
        "certificate": row["certificate"],
        "proof": [digest.hex() for digest in proof],
    }


def sign_package(
    session: CustodySession, wish: DisclosureRequest, names: Container[str], package: Package
) -> str:
    """Lists every file, and signs the list. `names` of the sealed files that it was made of.
    Returns the list's digest."""
    folder = package.folder
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    package.digests = {str(path.relative_to(folder)): file_sha256(path) for path in files}
    listing = "".join(f"{digest}  {name}\n" for name, digest in package.digests.items()).encode()
    (folder / SUMS).write_bytes(listing)
    sums = hashlib.sha256(listing).hexdigest()
    device, _, recording = wish.recording.partition("/")
    kind = "excerpt" if wish.is_excerpt else "whole"
    fields = {
        "store": session.index.store_id,
        "device": device,
        "recording": recording,
        "utc_ns": session.now_ns(),
        "films": [
            *(_film(package, path, kind) for path in package.films),
            *(_film(package, path, "redacted") for path in package.redacted),
        ],
        "sealed": [f for f in sealed_files(session, wish.recording) if f["segment"] in names],
        "sums": sums,
    }
    (folder / SIGNATURE).write_bytes(statement.make(session.signer, PACKAGE, fields))
    return sums


def sealed_files(session: CustodySession, recording: str) -> list[dict[str, str]]:
    """The recording's files that were received, with their digests."""
    rows = session.index.rows(
        "SELECT segment, sha256 FROM files WHERE recording = ? AND status = 'received' ORDER BY "
        "segment", recording
    )  # fmt: skip
    return [{"segment": row["segment"], "sha256": row["sha256"]} for row in rows]


def _film(package: Package, path: Path, kind: str) -> dict[str, str]:
    return {"name": path.name, "sha256": package.digests[path.name], "kind": kind}
