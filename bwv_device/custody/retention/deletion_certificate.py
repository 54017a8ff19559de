"""The `erased` line of a recording, in words that a person can file."""

from __future__ import annotations

from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError

PAGE = "certificate.html.jinja"


class DeletionCertificate(NamedTuple):
    """The ledger line with its signer's name and role, and the line's digest."""

    line: dict[str, Any]
    digest: str


def find(session: CustodySession, recording: str) -> DeletionCertificate:
    """The newest, where a late rest was erased after the others. Raises `CustodyError` if the
    recording was not erased."""
    session.index.catch_up()
    lines = [line for line in session.index.lines_about(recording) if line["kind"] == "erased"]
    if not lines:
        raise CustodyError(f"{recording} was not erased.", "See 'bwv custody show'.")
    row = session.index.row("SELECT digest FROM lines WHERE n = ?", lines[-1]["n"])
    kept = {name: value for name, value in lines[-1].items() if name != "certificate"}
    return DeletionCertificate(kept, row["digest"] if row else "")


def facts(certificate: DeletionCertificate, erased: str) -> list[tuple[str, str]]:
    """What the certificate says, a fact a line. `erased` is the time in words."""
    line = certificate.line
    files = [(f"file {f['segment']}", f"SHA-256 {f['sha256']}") for f in line["files"]]
    return [
        ("recording", line["recording"]),
        ("erased", erased),
        ("rule", line["rule"]),
        ("it ended", f"{line['ended']}, {line['age_days']} days before"),
        ("holds in force", ", ".join(map(str, line["holds"])) or "none"),
        ("stores", str(line["stores"])),
        ("signed by", f"{line['name']} ({line['role']})"),
        ("custody ledger", f"line {line['n']}, SHA-256 {certificate.digest}"),
        *files,
        *[("never came", name) for name in line.get("missing", ())],
    ]


def page(certificate: DeletionCertificate, erased: str) -> str:
    """The same as a web page that prints well."""
    environment = Environment(
        loader=PackageLoader("bwv_device.custody.retention", "."),
        autoescape=True,
        undefined=StrictUndefined,
    )
    template = environment.get_template(PAGE)
    return template.render(line=certificate.line, digest=certificate.digest, erased=erased)
