"""`bwv custody disclose`: a package for a court or a requester."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import Progress

from bwv_device.commands.custody.options import CustodyContext
from bwv_device.commands.key_desk.key_options import footage_keys, key_options, waiting
from bwv_device.custody.disclosure.media_process import MediaProcess
from bwv_device.custody.disclosure.package import disclose
from bwv_device.custody.disclosure.package_films import require_one_film
from bwv_device.custody.disclosure.redaction_plan import read_redaction
from bwv_device.custody.disclosure.request import DisclosureRequest
from bwv_device.custody.disclosure.work_folder import work_folder
from bwv_device.custody.key_desk.looking import FootageKeys
from bwv_device.custody.key_desk.open_recording import Advance, open_recording
from bwv_device.errors import CustodyError
from bwv_device.files import writable_folder
from bwv_device.formats.visible_text import visible
from bwv_device.verification.package_verifier import PackageVerdict
from bwv_device.verification.video_signatures import Answer


@click.command()
@click.argument("recording")
@key_options
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder.")
@click.option("--to", "recipient", default="", help="To whom it goes.")
@click.option("--reason", default="", help="Why.")
@click.option("--request", default="", help="The number of the request that it answers.")
@click.option("--from-s", type=float, help="Excerpt: from this second, cut on keyframes.")
@click.option("--to-s", type=float, help="Excerpt: to this second.")
@click.option(
    "--propose",
    is_flag=True,
    help="Only look for faces: writes redaction.json and contact-sheet.jpg.",
)
@click.option("--redact", type=click.Path(path_type=Path), help="A redaction.json to apply.")
@click.option("--confirm", is_flag=True, help="You have looked at the contact sheet.")
@click.option("--with-original", is_flag=True, help="Give the original beside the redacted copy.")
@click.option("--only-redacted", is_flag=True, help="What --redact does anyway; refused without.")
@click.pass_obj
def disclose_command(
    context: CustodyContext,
    recording: str,
    identity: Path | None,
    viewing_key: Path | None,
    desk: str,
    out: Path,
    recipient: str,
    reason: str,
    request: str,
    from_s: float | None,
    to_s: float | None,
    propose: bool,
    redact: Path | None,
    confirm: bool,
    with_original: bool,
    only_redacted: bool,
) -> None:
    """Decrypts RECORDING into a package: film, signed chain, a report that a lawyer can read, and a
    small verifier. Faces are proposed automatically, and some are missed: a person confirms."""
    keys = footage_keys(context, identity, viewing_key, desk)
    writable_folder(out.parent if not propose else out)
    if propose:
        _propose(context, recording, keys, out)
        return
    if only_redacted and (redact is None or with_original):
        raise click.UsageError("--only-redacted needs --redact, and no --with-original.")
    if not recipient or not reason:
        raise click.UsageError("Say to whom it goes and why: --to and --reason.")
    wish = DisclosureRequest(
        recording, recipient, reason, request, from_s, to_s,
        read_redaction(redact) if redact else None,
        context.session.name if confirm else "", with_original,
    )  # fmt: skip
    root = Path(context.settings.agency.root).read_bytes()
    with _progress() as advance:
        package = disclose(
            context.session,
            context.roots,
            root,
            keys,
            wish,
            out,
            advance,
            context.witnesses,
            waiting(),
        )
    for note in package.notes:
        click.echo(note)
    _warn(package.confined)
    click.echo(f"Read {out / 'report.html'} or {out / 'report.pdf'} first.")
    for sentence in package.missing:
        click.echo(visible(f"Warning: {sentence}"), err=True)
    _say_verdict(package.verdict)
    if package.problems:
        how = "is not whole" if package.missing else "does not verify"
        raise CustodyError(
            f"{recording} {how}: {package.problems[0]}.",
            "The package says so too; do not hand it on before somebody has looked at it.",
        )
    if package.verdict.answer is Answer.NOT_GENUINE:
        raise CustodyError(
            f"Whoever checks {out} reads 'not genuine': {visible(package.verdict.problems[0])}.",
            "Disclose the whole recording, or say in the letter why; see docs/custody.md.",
        )


def _say_verdict(verdict: PackageVerdict) -> None:
    """What the page, and every other verifier of packages, will say."""
    why = [*verdict.problems, *verdict.exceptions]
    click.echo(f"Whoever checks it reads: {verdict.answer.value}{':' if why else '.'}")
    for sentence in why:
        click.echo(visible(f"  {sentence}"))


def _propose(context: CustodyContext, recording: str, keys: FootageKeys, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with work_folder(out.parent) as folder, _progress() as advance:
        reason = "a proposal of what to cover"
        done = open_recording(
            context.session, context.roots, keys, recording, folder, reason, advance
        ).films
        require_one_film(done)
        seconds = max(1.0, done[0].duration_ms / 1000)
        media = MediaProcess(done[0].path, seconds, folder)
        found = media.propose(lambda at_s: advance("looking", at_s / seconds))
        found.write(out / "redaction.json")
        shown = media.contact_sheet(found, out / "contact-sheet.jpg")
    _warn(media.confined)
    if not found.boxes:
        click.echo(
            "Warning: no face was found, which is no proof that there is none: look at the film, "
            "and draw boxes yourself.", err=True,
        )  # fmt: skip
    click.echo(f"{len(found.boxes)} boxes proposed, {shown} pictures to look at in {out}.")
    click.echo("Correct redaction.json, then run this with --redact redaction.json --confirm.")


def _warn(confined: bool) -> None:
    if not confined:
        click.echo(
            "Warning: this kernel has no Landlock: films were opened within limits, but by a "
            "process that could have read your files.", err=True,
        )  # fmt: skip


@contextmanager
def _progress() -> Iterator[Advance]:
    with Progress(transient=True) as bar:
        task = bar.add_task("opening", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)
