"""`bwv custody verify-package`: for whoever was given one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from bwv_device import keys
from bwv_device.formats.visible_text import visible
from bwv_device.verification.package_verifier import verify_package
from bwv_device.verification.video_signatures import Answer

EXIT_CODES = {Answer.GENUINE: 0, Answer.NOT_GENUINE: 10, Answer.EXCEPTION: 26}


@click.command(name="verify-package")
@click.argument("package", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--root", "roots", multiple=True, required=True, type=click.Path(path_type=Path),
              help="The agency's root certificate: not from the package.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True)
def verify_package_command(package: Path, roots: tuple[Path, ...], as_json: bool) -> None:
    """Whether PACKAGE is what the agency disclosed, and its films are what the camera recorded.
    Needs no secret, and no store.

    Exit code 0: genuine and complete. 26: genuine, with an exception that is named. 10: not
    genuine.
    """
    verdict = verify_package(package, [c for path in roots for c in keys.load_certificates(path)])
    why = [*verdict.problems, *verdict.exceptions]
    if as_json:
        said = {"answer": verdict.answer.value, "recording": verdict.recording, "why": why}
        click.echo(json.dumps(said, indent=2))
    else:
        click.echo(visible(f"{package.name}: {verdict.answer.value}{':' if why else ''}"))
        for sentence in why:
            click.echo(visible(f"  {sentence}"))
        if verdict.recording:
            named = ", ".join(verdict.films)
            click.echo(visible(f"{verdict.recording}, by {verdict.disclosed_by}: {named}"))
    sys.exit(EXIT_CODES[verdict.answer])
