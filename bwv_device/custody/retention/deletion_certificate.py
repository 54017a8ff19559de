"""Deletion certificates: one for each recording that was erased, leaves of a tree whose root stands
in the `erased` line (docs/format.md, 8.7); and one of them in words that a person can file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from bwv_device.custody.intake.voice import create_once
from bwv_device.custody.ledger.index import MENTIONED
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from bwv_device.formats import canonical_json, store_keys
from bwv_device.formats.upload_body import BytesBody
from bwv_device.verification.tlog.merkle_tree import inclusion_proof, leaf_hash, nodes_of, root_of
from hal.ports import Entropy, EvidenceStore, StoreError, StoreTrouble

PAGE = "certificate.html.jinja"
# Of all certificates of a line.
SIZE_LIMIT = 64 << 20
SALT_BYTES = 32


class DeletionCertificate(NamedTuple):
    """A recording's certificate, proven to belong to a ledger line, which is given with its
    signer's name and role and its digest. `proof`: hashes from below, number `leaf` in a tree of
    `size`."""

    said: dict[str, Any]
    line: dict[str, Any]
    digest: str
    leaf: int
    size: int
    proof: list[str]


def store_certificates(
    store: EvidenceStore, entropy: Entropy, certificates: Sequence[dict[str, Any]]
) -> str:
    """Salts and stores them, before the line is written. Returns their tree's root."""
    encoded = [
        canonical_json.encode({**said, "salt": entropy.token(SALT_BYTES).hex()})
        for said in certificates
    ]
    root = root_of([leaf_hash(leaf) for leaf in encoded]).hex()
    body = BytesBody(b"".join(leaf + b"\n" for leaf in encoded))
    create_once(store, store_keys.certificates(root), body)
    return root


def read_certificates(store: EvidenceStore, root: str) -> list[bytes] | None:
    """The leaves, as they are encoded; None where they are gone, or are not what the root says."""
    try:
        data = store.read(store_keys.certificates(root), SIZE_LIMIT)
    except StoreError as error:
        if error.trouble in (StoreTrouble.MISSING, StoreTrouble.REFUSED):
            return None
        raise
    leaves = data.split(b"\n")[:-1]
    whole = leaves and root_of([leaf_hash(leaf) for leaf in leaves]).hex() == root
    return leaves if whole else None


def find(session: CustodySession, recording: str) -> DeletionCertificate:
    """The newest, where a late rest was erased after the others. Raises `CustodyError` if the
    recording was not erased, or its certificate was lost."""
    session.index.catch_up()
    lines = list(session.index.lines(f"kind = 'erased' AND {MENTIONED}", recording))
    if not lines:
        raise CustodyError(f"{recording} was not erased.", "See 'bwv custody show'.")
    line = {name: value for name, value in lines[-1].items() if name != "certificate"}
    names, root = line["recordings"], line["certificates"]
    leaves, number = read_certificates(session.store, root), names.index(recording)
    said = canonical_json.decode(leaves[number]) if leaves and len(leaves) == len(names) else {}
    if leaves is None or said.get("recording") != recording:
        raise CustodyError(
            f"{recording} was erased (line {line['n']}), and its certificate is lost.",
            f"Fetch {store_keys.certificates(root)} from a replica or a backup.",
        )
    row = session.index.row("SELECT digest FROM lines WHERE n = ?", line["n"])
    path = inclusion_proof(number, len(leaves), nodes_of([leaf_hash(leaf) for leaf in leaves]))
    proof = [node.hex() for node in path]
    digest = row["digest"] if row else ""
    return DeletionCertificate(said, line, digest, number, len(leaves), proof)


def facts(certificate: DeletionCertificate, erased: str) -> list[tuple[str, str]]:
    """What the certificate says, a fact a line. `erased` is the time in words."""
    said, line = certificate.said, certificate.line
    files = [(f"file {f['segment']}", f"SHA-256 {f['sha256']}") for f in said["files"]]
    return [
        ("recording", said["recording"]),
        ("erased", erased),
        ("rule", said["rule"]),
        ("it ended", f"{said['ended']}, {said['age_days']} days before"),
        ("holds in force", ", ".join(map(str, said["holds"])) or "none"),
        ("stores", str(said["stores"])),
        ("signed by", f"{line['name']} ({line['role']})"),
        ("custody ledger", f"line {line['n']}, SHA-256 {certificate.digest}"),
        ("in its tree", f"leaf {certificate.leaf} of {certificate.size}"),
        *files,
        *[("never came", name) for name in said.get("missing", ())],
    ]


def page(certificate: DeletionCertificate, erased: str) -> str:
    """The same as a web page that prints well."""
    environment = Environment(
        loader=PackageLoader("bwv_device.custody.retention", "."),
        autoescape=True,
        undefined=StrictUndefined,
    )
    template = environment.get_template(PAGE)
    return template.render(
        said=certificate.said, line=certificate.line, certificate=certificate, erased=erased
    )
