"""A mosquitto configuration in which no camera can speak for another (docs/mqtt.md, section 7).

Two listeners: at the cameras' the user name and the client id are the common name of the device
certificate; at the operators' the user name is the whole subject, so that no camera is anybody
there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

from bwv_device.camera.commands.check import ROLE
from bwv_device.formats.mqtt_messages import VERSION, level

CAMERA_PORT, OPERATOR_PORT = 8883, 8884
# What a camera says at most, and no more.
SAYS = ("presence", "identity", "state", "health", "event", "reply")
HEARS = ("command", "presence")


class Ports(NamedTuple):
    cameras: int = CAMERA_PORT
    operator: int = OPERATOR_PORT


DEFAULT_PORTS = Ports()


def configuration(folder: Path, root: Path, ports: Ports, bind: str = "") -> str:
    """`mosquitto.conf`; everything it names lies in `folder` but the agency's root."""
    address = f" {bind}" if bind else ""
    tls = f"""\
allow_anonymous false
require_certificate true
cafile {root}
certfile {folder / "broker.pem"}
keyfile {folder / "broker-key.pem"}
tls_version tlsv1.2
max_connections -1
"""
    return f"""\
# Written by `bwv fleet broker`. Revoked certificates: set crlfile at both listeners, then SIGHUP.
per_listener_settings true
persistence true
persistence_location {folder / "data"}/
autosave_interval 60
# An operator that was away for a while gets everything, and a camera gets its commands.
max_queued_messages 100000
max_inflight_messages 200
persistent_client_expiration 7d
max_packet_size 65536
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages false

listener {ports.cameras}{address}
{tls}use_identity_as_username true
# Else one camera could push another off by taking its client id.
use_username_as_clientid true
acl_file {folder / "cameras.acl"}

listener {ports.operator}{address}
{tls}use_subject_as_username true
acl_file {folder / "operators.acl"}
"""


def cameras_acl(agency: str, *, home_assistant: bool = False) -> str:
    """%u is the camera's name, from its certificate."""
    own = f"bwv/{VERSION}/{level(agency)}/%u"
    lines = [f"pattern write {own}/{leaf}" for leaf in SAYS]
    lines += [f"pattern read {own}/{leaf}" for leaf in HEARS]
    if home_assistant:
        lines.append("pattern write homeassistant/device/%u/config")
    return "\n".join(lines) + "\n"


def desk_acl(
    agency: str, people: Sequence[x509.Certificate], *, home_assistant: bool = False
) -> str:
    """Everybody named reads; the role `command` may write commands."""
    every = f"bwv/{VERSION}/{level(agency)}"
    blocks = []
    for person in people:
        lines = [f"user {person.subject.rfc4514_string()}", f"topic read {every}/#"]
        if home_assistant:
            lines.append("topic read homeassistant/#")
        roles = person.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        if any(role.value == ROLE for role in roles):
            lines.append(f"topic write {every}/+/command")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def write(
    folder: Path,
    root: Path,
    agency: str,
    people: Sequence[x509.Certificate],
    ports: Ports = DEFAULT_PORTS,
    bind: str = "",
    *,
    home_assistant: bool = False,
) -> None:
    """Configuration and both lists of rights into `folder`, where the broker's key is."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    rights = {"home_assistant": home_assistant}
    (folder / "cameras.acl").write_text(cameras_acl(agency, **rights))
    (folder / "operators.acl").write_text(desk_acl(agency, people, **rights))
    (folder / "mosquitto.conf").write_text(configuration(folder, root, ports, bind))
