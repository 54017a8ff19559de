"""`bwv custody init`: makes a place a store of evidence, with a log that others witness."""

from __future__ import annotations

from pathlib import Path

import click

from bwv_device import keys
from bwv_device.commands.custody.options import CustodyContext
from bwv_device.commands.custody.trust import WITNESS_HELP, parse_witness
from bwv_device.commands.key_files.note_key import write_note_keys
from bwv_device.commands.key_files.passphrase import ask
from bwv_device.custody.ledger.store_identity import (
    draw_identity,
    make_identity,
    read_identity,
)
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError, EvidenceStoreError, KeyFileError
from bwv_device.files import read_small, writable_folder
from bwv_device.formats.grammar.statements import TrustList
from bwv_device.formats.statement import StatementError
from bwv_device.verification.tlog.signed_note import ED25519, SEED_BYTES, SignerKey
from bwv_device.verification.trust_list import make_trust_list, origin, read_trust_list
from hal.host import HostEntropy
from hal.keystore import SoftwareIdentity

LOG_KEY, TRUST = "log-key.txt", "trust-list.txt"
HOUR_S = 3600


@click.command()
@click.option("--agency", required=True, type=click.Path(path_type=Path, file_okay=False),
              help="The folder that 'bwv keygen' made: its root signs the trust list.")  # fmt: skip
@click.option("--out", default=".", type=click.Path(path_type=Path, file_okay=False),
              help=f"Where {LOG_KEY} and {TRUST} go.")  # fmt: skip
@click.option("--witness", "witnesses", multiple=True, help=WITNESS_HELP)
@click.option("--quorum", type=click.IntRange(0, 16), help="Default: all that are named.")
@click.option("--outage-h", default=48, show_default=True, type=click.IntRange(1, 10_000),
              help="For so long may witnesses be away before deletion stops.")  # fmt: skip
@click.pass_obj
def init_command(
    context: CustodyContext,
    agency: Path,
    out: Path,
    witnesses: tuple[str, ...],
    quorum: int | None,
    outage_h: int,
) -> None:
    """Makes the store that is configured a store of evidence: its identity, its log's key, and the
    first trust list, signed by the agency's root. --as is a custodian's key."""
    root = root_signer(agency)
    named = tuple(map(parse_witness, witnesses))
    session = context.session_of(context.signer, given="")
    session.require("trust")
    writable_folder(out)
    for name in (LOG_KEY, TRUST):
        if (out / name).exists():
            raise KeyFileError(f"{out / name} is there already.", "Name another folder.")
    entropy = HostEntropy()
    store = _unfinished(session) or draw_identity(entropy)
    log = SignerKey.from_seed(origin(store), ED25519, entropy.token(SEED_BYTES))
    names = {witness.key.partition("+")[0] for witness in named}
    said = TrustList(
        1, store, context.now_ns(), str(log.verifier), named,
        len(names) if quorum is None else quorum, outage_h * HOUR_S, (), (),
    )  # fmt: skip
    text = make_trust_list(root, said)
    try:
        read_trust_list(text, context.roots)
    except StatementError as error:
        raise CustodyError(f"That would be no trust list: {error}.", "Correct it.") from None
    # In this order: what is interrupted is finished by the next `init`.
    if not session.index.store_id:
        make_identity(context.store, store)
    write_note_keys(out / LOG_KEY, [log])
    (out / TRUST).write_text(text)
    session.append(lambda: ("trust", {"list": text}))
    click.echo(f"The store's log is {log.verifier}")
    click.echo(f"{out / LOG_KEY} is its key: set log.key. Give {out / TRUST} to every reader.")
    if not named:
        click.echo(
            "Nobody outside witnesses it: whoever owns the store can cut the ledger's end unseen. "
            "Name a witness with --witness, or later with 'bwv custody trust'.", err=True,
        )  # fmt: skip


def _unfinished(session: CustodySession) -> str:
    """The identity of a store whose making was interrupted, or that has no trust list yet; "" for a
    place that is no store. Raises `CustodyError` where nothing is left to be made."""
    try:
        store = read_identity(session.store)
    except EvidenceStoreError:
        return ""
    session.index.catch_up()
    if session.index.trust is not None:
        raise CustodyError(
            "This is a store of evidence already.", "Change its trust list with 'trust new'."
        )
    return store


def root_signer(agency: Path) -> SoftwareIdentity:
    """The agency's root, from its folder. Raises `KeyFileError`."""
    try:
        pem = read_small(agency / keys.ROOT_KEY)
        key = keys.parse_private_key(pem, str(agency / keys.ROOT_KEY), ask)
        return SoftwareIdentity(keys.private_pem(key), read_small(agency / keys.ROOT))
    except OSError as error:
        raise KeyFileError(
            f"The root's key in {agency} can't be read: {error.strerror}.",
            "Name the folder that 'bwv keygen' made.",
        ) from None
