"""`bwv export`: playable MP4s from a vault."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from bwv_device import keys
from bwv_device.commands.key_desk.exported_line import exported_line
from bwv_device.commands.key_files.identities import load_identities
from bwv_device.commands.manifests import disclosure_key, embed_manifests
from bwv_device.formats.visible_text import visible
from bwv_device.verification.conclusion import Conclusion
from bwv_device.verification.export import export, without_film
from bwv_device.verification.vault_report import survey


@click.command()
@click.argument("vault", type=click.Path(path_type=Path))
@click.option(
    "--identity",
    required=True,
    type=click.Path(path_type=Path),
    help="The agency's secret: agency-identity.txt.",
)
@click.option("--out", default="export", show_default=True, type=click.Path(path_type=Path))
@click.option(
    "--root",
    "roots",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The agency's root certificate; without it the sidecar says nothing of it.",
)
@click.option("--recording", help="Only this recording, as 'bwv verify' names it.")
@click.option("--segments", is_flag=True, help="Each segment as the camera wrote it, not a film.")
@click.option("--custody", type=click.Path(path_type=Path),
              help="custody.toml, for the line of who opens this.")  # fmt: skip
@click.option("--as", "role_key", type=click.Path(path_type=Path), envvar="BWV_CUSTODY_KEY",
              help="Your role key, which signs that line; or BWV_CUSTODY_KEY.")  # fmt: skip
@click.option("--reason", default="", help="Why you open it.")
@click.option("--c2pa", is_flag=True,
              help="A signed manifest in each film; --as names a disclosure key.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True)
def command(
    vault: Path,
    identity: Path,
    out: Path,
    roots: tuple[Path, ...],
    recording: str | None,
    segments: bool,
    custody: Path | None,
    role_key: Path | None,
    reason: str,
    c2pa: bool,
    as_json: bool,
) -> None:
    """Decrypts VAULT into one MP4 per recording, with a sidecar that says what was verified.

    For the day when nothing else works: the usual way to look is 'bwv custody view'. Custody's
    ledger gets a line that you opened this, where it can be written; else it is said here.

    Footage that was cut off by a power loss is given up to the last whole chunk. Each file is read
    once: what is exported is what was verified. Exit code 10 where the vault does not verify: what
    opens is exported all the same, and the sidecar says what it is. Also where a segment holds what
    the ledger does not name: that one is left out.
    """
    signer = disclosure_key(role_key, roots, segments=segments) if c2pa else None
    identities = load_identities(identity)
    certificates = [c for path in roots for c in keys.load_certificates(path)]
    surveyed = survey(vault, certificates)
    names = [recording] if recording else surveyed.recordings()
    full = [f"{surveyed.report.device}/{name}" for name in names]
    said = exported_line(custody, role_key, surveyed.report.device, full, reason)
    click.echo(visible(said), err=True)
    report, done, changed = export(surveyed, identities, out, recording, native=segments)
    if signer is not None:
        embed_manifests(done, report.device, signer, roots[0])
    for item in done:
        for lost in json.loads(item.path.with_suffix(".json").read_text())["not_exported"]:
            click.echo(visible(f"Warning: {lost['name']}: {lost['reason']}"), err=True)
    if recording is None:
        for name, why in without_film(report, done):
            click.echo(visible(f"Warning: {name}: {why}"), err=True)
    rows = [{**item._asdict(), "path": str(item.path)} for item in done]
    for row in rows if segments else ():
        for counted in ("video_units", "audio_units", "duration_ms"):
            del row[counted]  # of a segment as it is, nothing is counted
    if as_json:
        click.echo(json.dumps({"ledger_verified": report.ok, "exported": rows}, indent=2))
    for item in () if as_json else done:
        told = f"{item.duration_ms / 1000:.1f} s, {item.video_units} pictures, "
        statuses = ", ".join(dict.fromkeys(item.statuses))
        click.echo(f"{item.path}  {'' if segments else told}{statuses}")
    if changed:
        named = visible(", ".join(changed))
        click.echo(f"Warning: sealed, but not what the ledger names: {named}", err=True)
    if not report.ok:
        click.echo("Warning: the vault does not verify; see 'bwv verify'.", err=True)
    if changed or not report.ok:
        sys.exit(Conclusion.CHANGED.value)
