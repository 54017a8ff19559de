"""`bwv fleet broker`: a mosquitto configuration in which no camera can speak for another."""

from __future__ import annotations

import datetime
from pathlib import Path

import click
from cryptography import x509
from cryptography.x509.oid import NameOID

from bwv_device import keys
from bwv_device.commands.key_files.passphrase import ask
from bwv_device.errors import KeyFileError
from bwv_device.fleet import mosquitto_config
from bwv_device.fleet.mosquitto_config import CAMERA_PORT, OPERATOR_PORT, Ports
from bwv_device.formats.certificates import ROLES
from hal.host import HostEntropy


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--keys", "agency_keys", required=True,
              type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="The folder that 'bwv keygen' made.")  # fmt: skip
@click.option("--agency", default="example-agency", show_default=True)
@click.option("--host", "hosts", multiple=True, required=True,
              help="A name or address by which cameras reach it; may be repeated.")  # fmt: skip
@click.option("--operator", "people", multiple=True,
              type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="Role key or certificate of an operator; may be repeated.")  # fmt: skip
@click.option("--port", default=CAMERA_PORT, show_default=True, help="For cameras.")
@click.option("--operator-port", default=OPERATOR_PORT, show_default=True)
@click.option("--home-assistant", is_flag=True, help="Cameras may announce themselves to it.")
def command(
    folder: Path,
    agency_keys: Path,
    agency: str,
    hosts: tuple[str, ...],
    people: tuple[Path, ...],
    port: int,
    operator_port: int,
    home_assistant: bool,
) -> None:
    """Writes mosquitto.conf, rights and a certified TLS key into FOLDER.

    Run it again for other people or ports: the key that is there stays.
    """
    try:
        _write(folder.absolute(), agency_keys, agency, hosts, people, Ports(port, operator_port),
               home_assistant)  # fmt: skip
    except OSError as error:
        raise KeyFileError(
            f"{error.filename or folder} can't be used: {error.strerror}.",
            "Check the path and its permissions.",
        ) from None
    if not people:
        click.echo(
            "Nobody may watch or command yet: run it again with --operator ROLE-KEY.", err=True
        )
    click.echo(f"sudo chown -R mosquitto {folder.absolute()}")
    click.echo(f"mosquitto -c {folder.absolute() / 'mosquitto.conf'}")


def _write(
    folder: Path,
    agency_keys: Path,
    agency: str,
    hosts: tuple[str, ...],
    people: tuple[Path, ...],
    ports: Ports,
    home_assistant: bool,
) -> None:
    if not (folder / keys.BROKER_KEY).exists():
        now = datetime.datetime.now(datetime.UTC)
        keys.make_broker(agency_keys, folder, hosts, HostEntropy(), now, ask)
    root = folder / keys.ROOT
    root.write_bytes((agency_keys / keys.ROOT).read_bytes())
    operators = [_person(path) for path in people]
    mosquitto_config.write(folder, root, agency, operators, ports, home_assistant=home_assistant)


def _person(path: Path) -> x509.Certificate:
    """The certificate of a person or service. A camera's would get the rights of a person."""
    certificate = keys.load_certificates(path)[0]
    units = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    if not any(unit.value in ROLES for unit in units):
        raise KeyFileError(
            f"{path} is not the key of a person or service.",
            "Give a role key of 'bwv custody enrol' with --operator.",
        )
    return certificate
