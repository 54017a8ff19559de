"""`bwv video-verify`: judges a film by what the camera signed inside of it."""

from __future__ import annotations

import datetime
import json
import stat
import sys
import tempfile
from pathlib import Path

import click
from cryptography.hazmat.primitives.serialization import Encoding

from bwv_device import keys
from bwv_device.custody.disclosure.media_process import MediaProcess
from bwv_device.errors import ClipError
from bwv_device.files import reason
from bwv_device.formats.visible_text import visible
from bwv_device.verification.video_signatures import Answer, VideoVerdict
from hal.ports import SECOND_NS

EXIT_CODES = {Answer.GENUINE: 0, Answer.NOT_GENUINE: 10, Answer.EXCEPTION: 26}
# To reckon what a film of a size may cost: slower than any that a camera makes.
BYTES_A_SECOND = 100_000


@click.command()
@click.argument("film", type=click.Path(path_type=Path))
@click.option("--root", "roots", multiple=True, required=True, type=click.Path(path_type=Path),
              help="The agency's root certificate; may be given more than once.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True)
def command(film: Path, roots: tuple[Path, ...], as_json: bool) -> None:
    """Whether the pictures of FILM are those that a camera of this agency signed (ONVIF Media
    Signing): MP4, MKV, MPEG-TS or H.264 as it is, whole or cut at keyframes.

    It says nothing of sound, nor of times in the container: those the ledger covers (bwv verify).
    Exit code 0: genuine and complete. 26: genuine, with an exception that is named. 10: not
    genuine.
    """
    size = _size(film)
    certificates = [c for path in roots for c in keys.load_certificates(path)]
    pem = b"".join(c.public_bytes(Encoding.PEM) for c in certificates).decode("ascii")
    with tempfile.TemporaryDirectory() as work:
        media = MediaProcess(film, size / BYTES_A_SECOND, Path(work))
        verdict = media.signatures(pem)
    if as_json:
        click.echo(json.dumps({"answer": verdict.answer.value, **verdict.as_dict()}, indent=2))
    else:
        _show(film, verdict)
    sys.exit(EXIT_CODES[verdict.answer])


def _size(film: Path) -> int:
    try:
        status = film.stat()
    except OSError as error:
        raise ClipError(f"{film} can't be read: {reason(error)}.", "Check the path.") from None
    if not stat.S_ISREG(status.st_mode):
        raise ClipError(f"{film} is not a regular file.", "Give a film.")
    return status.st_size


def _show(film: Path, verdict: VideoVerdict) -> None:
    why = [*verdict.problems, *verdict.exceptions]
    click.echo(visible(f"{film.name}: {verdict.answer.value}{'' if not why else ':'}"))
    for sentence in why:
        click.echo(visible(f"  {sentence}"))
    if verdict.device and verdict.groups:
        spoken = " to ".join(_time(t) for t in (verdict.first_utc_ns, verdict.last_utc_ns))
        click.echo(visible(
            f"Signed by the camera {verdict.device}, {verdict.groups} groups of pictures, "
            f"{spoken} by its clock."
        ))  # fmt: skip


def _time(utc_ns: int) -> str:
    try:
        moment = datetime.datetime.fromtimestamp(utc_ns / SECOND_NS, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return "an unknown time"
    return f"{moment:%Y-%m-%d %H:%M:%S UTC}"
