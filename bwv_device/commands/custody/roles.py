"""`bwv custody enrol` and `policy`: role keys, and the rights of a store key."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import click

from bwv_device import keys
from bwv_device.commands.key_files.passphrase import ask
from bwv_device.custody import s3_policies
from bwv_device.errors import KeyFileError
from bwv_device.files import read_small
from bwv_device.formats.certificates import ROLES, VIEWING_UNIT
from bwv_device.formats.enrolment_request import EnrolmentRequest, read_request
from bwv_device.formats.pkcs11_uri import TokenUri
from bwv_device.formats.statement import StatementError
from hal.host import HostEntropy


@click.command()
@click.argument("name")
@click.option("--role", required=True, type=click.Choice((*ROLES, VIEWING_UNIT)),
              help=f"'{VIEWING_UNIT}': the key that a person looks with.")  # fmt: skip
@click.option(
    "--agency",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder that 'bwv keygen' made.",
)
@click.option("--out", default="roles", show_default=True, type=click.Path(path_type=Path))
@click.option("--person", default="", help="Their number in the agency: who acts in two roles, or "
              "writes a name in two ways, is one person. Default: the name.")  # fmt: skip
@click.option(
    "--token",
    metavar="URI",
    help="Make the key in a token: pkcs11:token=NAME;object=NAME?module-path=FILE (RFC 7512).",
)
@click.option("--request", "asked", type=click.Path(path_type=Path),
              help="Certify the keys that a browser made (docs/desk.md), after comparing its "
              "fingerprint.")  # fmt: skip
@click.option("--fingerprint", help="What the person read out: another request is refused.")
def enrol_command(
    name: str,
    role: str,
    agency: Path,
    out: Path,
    person: str,
    token: str | None,
    asked: Path | None,
    fingerprint: str | None,
) -> None:
    """Makes the role key of the person or service NAME, certified by the agency's roles CA."""
    now = datetime.datetime.now(datetime.UTC)
    if asked is not None:
        if token is not None or role == VIEWING_UNIT:
            raise click.UsageError("A browser's request is for both of its keys: name a role.")
        request = _read_request(asked, fingerprint)
        given = (out, name, role, request, HostEntropy(), now, ask, person)
        path = keys.certify_person(agency, *given)
        click.echo(f"Request {request.fingerprint}: {name} may act as {role}. Give back {path}.")
        return
    if fingerprint is not None:
        raise click.UsageError("--fingerprint goes with --request.")
    if role == VIEWING_UNIT:
        if token is not None:
            raise click.UsageError("A viewing key lies in a file: leave --token out.")
        path = keys.make_viewing_key(agency, out, name, HostEntropy(), now, ask, person)
        click.echo(f"{name} looks at footage with {path}: bwv custody view.")
        return
    if token is not None:
        from bwv_device.commands.key_files import in_token

        path = in_token.enrol(_token_uri(token), name, role, agency, out, now, person)
        click.echo(f"{name} may act as {role} with {path} and the token that it names.")
        return
    path = keys.make_role(agency, out, name, role, HostEntropy(), now, ask, person)
    click.echo(f"{name} may act as {role} with {path}.")


def _read_request(path: Path, expected: str | None) -> EnrolmentRequest:
    try:
        request = read_request(read_small(path))
    except OSError as error:
        raise KeyFileError(f"{path} can't be read: {error.strerror}.", "Check the path.") from None
    except StatementError as error:
        raise KeyFileError(f"{path} {error}.", "Fetch it from the browser again.") from None
    if expected is not None and "".join(expected.split()) != "".join(request.fingerprint.split()):
        raise KeyFileError(
            f"{path} has the fingerprint {request.fingerprint}.",
            "Somebody changed it on its way, or it is another: ask the person again.",
        )
    return request


def _token_uri(text: str) -> TokenUri:
    try:
        return TokenUri.parse(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}.", param_hint="--token") from None


@click.command()
@click.argument("bucket")
@click.option("--device", help="The policy of this camera's key.")
@click.option(
    "--role", type=click.Choice(s3_policies.ROLES), help="The policy of one of custody's."
)
def policy_command(bucket: str, device: str | None, role: str | None) -> None:
    """Prints the S3 policy of least privilege for a key of BUCKET."""
    if (device is None) == (role is None):
        raise click.UsageError("Give either --device or --role.")
    policy = s3_policies.camera(bucket, device) if device else s3_policies.role(bucket, role or "")
    click.echo(json.dumps(policy, indent=2))
