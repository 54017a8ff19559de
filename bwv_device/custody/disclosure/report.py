"""The report of a disclosure, as HTML and as PDF, for a non-technical reader."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from fpdf import FPDF
from jinja2 import Environment, PackageLoader, select_autoescape

from bwv_device.custody.disclosure.proof import OF_PEOPLE
from bwv_device.custody.session import CustodySession
from bwv_device.files import file_sha256
from bwv_device.formats.visible_text import visible
from bwv_device.verification import page, standalone
from bwv_device.verification.vault_report import FileStatus, Report

if TYPE_CHECKING:
    from bwv_device.custody.disclosure.package_films import Package
    from bwv_device.custody.disclosure.request import DisclosureRequest
    from bwv_device.custody.recording_history import RecordingHistory

FONTS = (
    Path("/usr/share/fonts/truetype/dejavu"),
    Path("/usr/share/fonts/TTF"),
    Path("/usr/local/share/fonts"),
)
VERDICTS = {
    FileStatus.SEALED: "complete, exactly as the camera finished it",
    FileStatus.DELIVERED: "complete, exactly as the camera finished it",
    FileStatus.RECOVERED: "cut off by a loss of power; everything up to there is the camera's",
    FileStatus.OPEN: "its end is not attested",
    FileStatus.MISSING: "missing",
    FileStatus.UNKNOWN: "the camera's ledger does not know it",
    FileStatus.BAD: "altered or damaged",
}
# Kinds of lines, for who reads no ledgers.
IN_WORDS = {
    "open": "a file begins",
    "seal": "a file is finished",
    "recovered": "found after a loss of power",
    "still": "snapshot",
    "close": "the recording ends",
    "receipt": "the store has it",
    "wipe": "removed from the camera",
    "docking": "the camera docks",
    "intake": "taken into custody",
    "viewed": "somebody looks",
    "exported": "opened with the agency's key",
    "hold": "held",
    "release-proposed": "release proposed",
    "release-approved": "released",
    "hiding": "to be hidden",
    "restored": "seen again",
    "review": "reviewed",
    "disclosed": "disclosed",
    "public-informed": "the public is told",
}
Said = dict[str, Any]


def content(
    session: CustodySession,
    wish: DisclosureRequest,
    report: Report,
    life: RecordingHistory,
    package: Package,
    root_pem: bytes,
) -> Said:
    """The content of the report."""
    row = session.index.row("SELECT * FROM recordings WHERE id = ?", wish.recording)
    assert row is not None
    moment = session.retention.moment
    problems = [*report.problems, *[p for p in life.problems if p not in report.problems]]
    good = report.ok and not problems and not package.missing
    error_s = row["error_ns"] / 1e9
    return {
        "recording": wish.recording,
        "camera": row["device"],
        "officer": row["officer"] or "not recorded",
        "began": f"{moment(row['start_ns']):%d %B %Y, %H:%M:%S %Z}",
        "ended": f"{moment(row['end_ns']):%d %B %Y, %H:%M:%S %Z}",
        "certainty": f"± {error_s:.1f} s" if error_s < 86_400 else "the camera's clock was not set",
        "category": row["category"],
        "made": f"{moment(session.now_ns()):%d %B %Y, %H:%M:%S %Z}",
        "by": f"{session.name} ({session.role})",
        "witnessed": life.seen,
        "recipient": wish.recipient,
        "reason": wish.reason,
        "request": wish.request,
        "good": good,
        "verdict": "Nothing was changed, removed or added between the camera and this package."
        if good
        else "Something is missing or does not verify. What follows says what.",
        "problems": [*package.missing, *problems],
        "films": [
            {"name": path.name, "sha256": file_sha256(path), "bytes": path.stat().st_size}
            for path in (*package.films, *package.redacted)
        ],
        "silent": _silent(life),
        "trust": _trust(session, root_pem),
        "segments": [
            {"name": v.name, "bytes": v.length, "says": VERDICTS[v.status], "detail": v.detail}
            for v in report.segments
        ],
        "notes": list(package.notes),
        "checks": CHECKS,
        "life": [
            {
                "when": f"{moment(step.utc_ns):%Y-%m-%d %H:%M:%S %Z}",
                "ledger": step.ledger,
                "number": step.number,
                "what": IN_WORDS.get(step.what, step.what),
                "who": step.who,
                "detail": _detail(step.fields, step.ledger),
            }
            for step in life.steps
            if wish.is_whole or step.what not in OF_PEOPLE
        ],
    }


def _silent(life: RecordingHistory) -> str:
    """Why the film begins before the button was pressed, and without sound; "" where it does
    not."""
    before = next((s.fields["pre_event"] for s in life.steps if "pre_event" in s.fields), None)
    if before is None or not before.get("achieved_ms"):
        return ""
    seconds = before["achieved_ms"] / 1000
    sound = (
        "with its sound" if before.get("audio") == "recorded"
        else "without sound, because the agency's policy does not record it then"
    )  # fmt: skip
    return (
        f"The first {seconds:.0f} s of the recording show what was in front of the camera before "
        f"the button was pressed, {sound}. The camera keeps so much in memory at all times, and "
        "writes it only when it is told to record."
    )


def _trust(session: CustodySession, root_pem: bytes) -> list[tuple[str, str]]:
    """What a reader compares with paper, and with what others publish."""
    root = x509.load_pem_x509_certificates(root_pem)[0]
    told = [("agency's root, SHA-256", root.fingerprint(SHA256()).hex())]
    trust = session.trust()
    if trust is not None:
        told.append(("key of custody's log", str(trust.log)))
        told += [("witness", str(witness.key)) for witness in trust.witnesses]
    for name, data in ((page.NAME, page.page()), (standalone.NAME, standalone.verifier())):
        told.append((f"{name}, SHA-256", hashlib.sha256(data).hexdigest()))
    return told


def _detail(fields: Mapping[str, Any], ledger: str) -> str:
    """Reasons and cases that custody wrote down stay there: they may be about other people."""
    wanted = ["segment", "marker", "trigger", "officer", "category", "rule", "outcome"]
    if ledger == "camera":
        wanted.append("reason")
    return ", ".join(f"{k}: {fields[k]}" for k in wanted if fields.get(k) not in (None, ""))


def html(said: Said) -> str:
    environment = Environment(
        loader=PackageLoader("bwv_device.custody.disclosure", "."),
        autoescape=select_autoescape(default=True),
        finalize=_seen,
    )
    return environment.get_template("report.html.jinja").render(said=said)


def _seen(value: Any) -> Any:
    return visible(value) if type(value) is str else value


# A word that is longer is broken; a text that is longer ends with a note: a row of the table must
# fit a page, also in its narrowest column.
LONGEST_WORD, LONGEST_LINE, LONGEST_CELL = 40, 3000, 500
SOFT_HYPHEN = "\u00ad"


def on_paper(text: str, longest: int = LONGEST_LINE) -> str:
    """A text that fits, whatever it is."""
    said = visible(text)
    if len(said) > longest:
        said = f"{said[:longest]} … (cut here; it has {len(said):,} characters)"
    return " ".join(
        SOFT_HYPHEN.join(word[at : at + LONGEST_WORD] for at in range(0, len(word), LONGEST_WORD))
        for word in said.split(" ")
    )


def pdf(said: Said) -> bytes:
    """In DejaVu where the system has it; else characters beyond Latin-1 are shown as "?"."""
    paper = _Paper()
    paper.set_title(visible(f"Disclosure of {said['recording']}"))
    encode = _fonts(paper)
    paper.set_auto_page_break(auto=True, margin=18)
    paper.add_page()

    def line(text: str, size: int = 10, style: str = "", space: float = 5) -> None:
        paper.set_font(paper.font_family, style, size)
        paper.multi_cell(0, space, encode(on_paper(text)), new_x="LMARGIN", new_y="NEXT")

    def rows(headings: Sequence[str], content: Sequence[Sequence[str]], widths: Any) -> None:
        paper.set_font(paper.font_family, "", 8)
        with paper.table(col_widths=widths, line_height=4.5, text_align="LEFT") as table:
            for cells in (headings, *content):
                table.row([encode(on_paper(str(cell), LONGEST_CELL)) for cell in cells])
        paper.ln(3)

    rows(("Exhibit", "Produced by", "Signature and date"), [(" ", " ", " ")], (40, 60, 80))
    line(f"Disclosure of {said['recording']}", 16, "B", 9)
    line(said["verdict"], 11, "B", 6)
    for problem in said["problems"]:
        line(f"- {problem}", 9)
    paper.ln(2)
    facts = ("camera", "officer", "began", "ended", "certainty", "category", "recipient", "reason",
             "request", "made", "by", "witnessed")  # fmt: skip
    rows(("fact", ""), [(name, said[name] or "-") for name in facts], (35, 145))
    line("What is in this package", 12, "B", 7)
    for note in said["notes"]:
        line(f"- {note}", 9)
    paper.ln(2)
    line("The films", 12, "B", 7)
    films = [(f["name"], f"{f['bytes']:,}", f["sha256"]) for f in said["films"]]
    rows(("file", "bytes", "SHA-256"), films, (50, 25, 105))
    if said["silent"]:
        line(said["silent"], 9)
        paper.ln(2)
    line("To be compared with paper and with what the witnesses publish", 12, "B", 7)
    rows(("what", "key"), said["trust"], (45, 135))
    line("The files as the camera sealed them", 12, "B", 7)
    segments = [(s["name"], f"{s['bytes']:,}", s["says"]) for s in said["segments"]]
    rows(("file", "bytes", "verdict"), segments, (62, 25, 93))
    line("What happened to it, line by line", 12, "B", 7)
    steps = [(s["when"], f"{s['ledger']} {s['number']}", s["what"], s["who"], s["detail"])
             for s in said["life"]]  # fmt: skip
    rows(("when", "line", "what", "who", ""), steps, (38, 24, 28, 36, 54))
    line("How to check this without us", 12, "B", 7)
    line(CHECKS, 9)
    return bytes(paper.output())


CHECKS = (
    "Open START-HERE.html in any browser and choose this folder: it needs no network, checks "
    "everything, says genuine and complete, or what is missing, or why not, and plays what it "
    "checked. A forged package would bring a forged page: to be sure, take the same page from the "
    "agency's or the ombudsman's own site (its digest is below), and the root's fingerprint from "
    "paper. verify.py gives the same answer and needs only Python with its cryptography package; "
    "so does bwv custody verify-package. SHA256SUMS lists the digest of every file (sha256sum -c "
    "SHA256SUMS), and SHA256SUMS.sig is the disclosure officer's signature over that list. Any "
    "reader of content credentials (C2PA) that trusts the agency's root says of each film whether "
    "it was changed since it was disclosed."
)


class _Paper(FPDF):
    """Pages with numbers."""

    def footer(self) -> None:
        self.set_y(-12)
        self.set_font(self.font_family or "helvetica", "", 8)
        self.cell(0, 6, f"{self.page_no()} / {{nb}}", align="C")


def _fonts(paper: FPDF) -> Any:
    for folder in FONTS:
        regular, bold = folder / "DejaVuSans.ttf", folder / "DejaVuSans-Bold.ttf"
        if regular.exists() and bold.exists():
            paper.add_font("DejaVu", "", str(regular))
            paper.add_font("DejaVu", "B", str(bold))
            paper.set_font("DejaVu", size=10)
            return lambda text: text
    paper.set_font("helvetica", size=10)
    return lambda text: text.encode("latin-1", "replace").decode("latin-1")
