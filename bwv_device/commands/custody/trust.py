"""`bwv custody trust`: whose word counts. The root signs, two persons put it in force."""

from __future__ import annotations

from pathlib import Path

import click

from bwv_device.commands.custody.options import CustodyContext, print_json
from bwv_device.commands.key_files.role_key import load_role_key
from bwv_device.custody.role_keys import ending
from bwv_device.errors import CustodyError, KeyFileError
from bwv_device.files import read_small
from bwv_device.formats import statement
from bwv_device.formats.grammar.statements import Revoked, TrustedWitness, TrustList
from bwv_device.formats.statement import StatementError
from bwv_device.formats.visible_text import visible
from bwv_device.verification.tlog.signed_note import NoteError, VerifierKey
from bwv_device.verification.trust_list import Trust, make_trust_list, read_trust_list

# So long before a role key ends, 'show' says it.
ENDING_DAYS = 30
WITNESS_HELP = "A witness: 'VERIFIER-KEY URL', or the key alone of one that is not asked from here."


@click.group(name="trust")
def trust_command() -> None:
    """The trust list: the log's key, its witnesses, and which role keys count no more."""


@trust_command.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def show(context: CustodyContext, as_json: bool) -> None:
    """The one in force."""
    trust = _in_force(context)
    if as_json:
        print_json({
            "version": trust.version, "store": trust.store, "log": str(trust.log),
            "witnesses": [{"key": str(w.key), "url": w.url} for w in trust.witnesses],
            "quorum": trust.quorum, "outage_s": trust.outage_s, "roles_cas": trust.roles_cas,
            "revoked": [r.certificate for r in trust.revoked],
        })  # fmt: skip
        return
    click.echo(f"version {trust.version}, log {trust.log}")
    for witness in trust.witnesses:
        click.echo(f"witness {witness.key.name} {witness.url or '(not asked from here)'}")
    click.echo(f"{trust.quorum} must have seen it within {trust.outage_s // 3600} hours")
    for sentence in ending(context.session, ENDING_DAYS):
        click.echo(visible(sentence), err=True)
    for revoked in trust.revoked:
        click.echo(f"revoked from {context.said(revoked.utc_ns)}: {revoked.certificate}")


@trust_command.command()
@click.option("--agency", required=True, type=click.Path(path_type=Path, file_okay=False),
              help="The folder with the root's key.")  # fmt: skip
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--witness", "witnesses", multiple=True, help=f"{WITNESS_HELP} All of them anew.")
@click.option("--quorum", type=click.IntRange(0, 16))
@click.option("--outage-h", type=click.IntRange(1, 10_000))
@click.option("--revoke", type=click.Path(path_type=Path), multiple=True,
              help="A role's key or certificate file: it does not count from now on.")  # fmt: skip
@click.option("--reason", default="", help="Why it is revoked.")
@click.pass_obj
def new(
    context: CustodyContext,
    agency: Path,
    out: Path,
    witnesses: tuple[str, ...],
    quorum: int | None,
    outage_h: int | None,
    revoke: tuple[Path, ...],
    reason: str,
) -> None:
    """Writes the next version, signed by the root. What is not named stays as it is."""
    from bwv_device.commands.custody.init import root_signer

    before, now_ns = _in_force(context), context.now_ns()
    kept = tuple(TrustedWitness(str(w.key), w.url) for w in before.witnesses)
    revoked = tuple(Revoked(_fingerprint(path), now_ns, reason) for path in revoke)
    said = TrustList(
        before.version + 1, before.store, now_ns, str(before.log),
        tuple(map(parse_witness, witnesses)) or kept,
        before.quorum if quorum is None else quorum,
        before.outage_s if outage_h is None else outage_h * 3600,
        before.roles_cas, (*before.revoked, *revoked),
    )  # fmt: skip
    text = make_trust_list(root_signer(agency), said)
    try:
        read_trust_list(text, context.roots)
    except StatementError as error:
        raise CustodyError(f"That would be no trust list: {error}.", "Correct it.") from None
    out.write_text(text)
    click.echo(f"{out} is version {said.version}; one custodian proposes it, another approves.")


@trust_command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def propose(context: CustodyContext, file: Path) -> None:
    """The first of two persons."""
    try:
        text = read_small(file).decode("ascii", "replace")
        said = read_trust_list(text, context.roots)
    except (OSError, StatementError) as error:
        raise CustodyError(f"{file} can't be used: {error}.", "Give a trust list.") from None
    context.session.append(lambda: ("trust-proposed", {"list": text, "version": said.version}))
    click.echo(f"Version {said.version} is proposed; another custodian approves it.")


@trust_command.command()
@click.argument("version", type=int)
@click.pass_obj
def approve(context: CustodyContext, version: int) -> None:
    """The second person, who must not be the first."""
    session = context.session
    row = session.index.row("SELECT * FROM trust WHERE version = ?", version)
    if row is None or row["approved"]:
        raise CustodyError(f"Nobody proposed version {version}, or it is in force.", "See 'show'.")
    if row["proposer"] == session.person:
        raise CustodyError(f"{session.name} proposed it.", "Somebody else must approve it.")
    said = {"version": version, "proposed": row["n"]}
    session.append(lambda: ("trust-approved", said))
    click.echo(f"Version {version} of the trust list is in force.")


def parse_witness(text: str) -> TrustedWitness:
    """Raises `KeyFileError`."""
    key, _, url = text.strip().partition(" ")
    try:
        VerifierKey.parse(key)
    except NoteError as error:
        raise KeyFileError(f"The witness {key[:80]!r} {error}.", "Give 'KEY URL'.") from None
    if url and not url.startswith(("https://", "http://")):
        raise KeyFileError(f"{url!r} is no address of a witness.", "Write https://HOST/PATH.")
    return TrustedWitness(key, url.strip())


def _in_force(context: CustodyContext) -> Trust:
    trust = context.session.trust()
    if trust is None:
        raise CustodyError("There is no trust list.", "Make the store with 'bwv custody init'.")
    return trust


def _fingerprint(path: Path) -> str:
    pem = load_role_key(path).certificate_pem
    return statement.fingerprint(statement.chain_of(pem)[0])
