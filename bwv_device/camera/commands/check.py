"""Checks a command: signature, addressee, counter, expiry, form (docs/mqtt.md, section 5).

Pure functions. The owner of the broker may send anything; all of it is checked here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple, get_type_hints

from annotated_types import Interval, Len
from cryptography import x509

from bwv_device.formats import statement
from bwv_device.formats.grammar.statements import Command
from bwv_device.formats.mqtt_messages import COMMANDS, Arguments
from bwv_device.formats.statement import SignerError, Statement, StatementError
from bwv_device.formats.vault_layout import is_recording_id
from hal.ports import SECOND_NS, UtcReading

ROLE = "command"
SIZE_LIMIT = 16_384
LIFETIME_S = 86_400
# A camera that does not know the minute can't say what has expired.
CLOCK_ERROR_NS = 60 * SECOND_NS
AHEAD_S = 120
# Desks count in milliseconds since 1970: none may use counters up.
COUNTER_AHEAD_MS = 86_400_000


class Checked(NamedTuple):
    """A command that may be carried out."""

    name: str
    arguments: Arguments
    counter: int
    id: str
    said: Statement[Command]


class Refused(NamedTuple):
    """Why a command is refused. `counter` and `id` if the agency signed it, else 0 and ""."""

    reason: str
    counter: int = 0
    id: str = ""
    command: str = ""


def read(
    data: bytes, device: str, roots: Sequence[x509.Certificate]
) -> Statement[Command] | Refused:
    """Reads a command for this camera, or says why it is none. Slow: three signatures. They come
    before anything is parsed."""
    if len(data) > SIZE_LIMIT:
        return Refused("oversized")
    if not roots:
        return Refused("forged")
    try:
        said = statement.of_role(data, Command, (ROLE,), roots)
    except SignerError:
        return Refused("forged")
    except StatementError:
        return Refused("malformed")
    return said if said.value.device == device else Refused("foreign")


def judge(said: Statement[Command], counter: int, now: UtcReading) -> Checked | Refused:
    """Whether it is to be carried out now. `counter` is the largest accepted so far."""
    told = said.value
    if told.counter <= counter:
        return Refused("replayed")
    if now.source != "none" and told.counter > _latest_ms(now) + COUNTER_AHEAD_MS:
        return Refused("ahead")  # it would be the last that this camera ever obeys
    about = (told.counter, told.id, told.command)
    if now.source == "none" or now.error_ns > CLOCK_ERROR_NS:
        return Refused("no clock", *about)
    if _expired(told.issued_s, told.expires_s, now):
        return Refused("expired", *about)
    arguments = conform(told.command, told.arguments)
    if arguments is None:
        return Refused("invalid", *about)
    return Checked(told.command, arguments, told.counter, told.id, said)


def _latest_ms(now: UtcReading) -> int:
    return (now.utc_ns + now.error_ns) // 1_000_000


def _expired(issued_s: int, expires_s: int, now: UtcReading) -> bool:
    """Judged by the latest possible time. A command from the future is refused too."""
    latest_ns, earliest_ns = now.utc_ns + now.error_ns, now.utc_ns - now.error_ns
    return (
        not 0 < expires_s - issued_s <= LIFETIME_S
        or latest_ns >= expires_s * SECOND_NS
        or issued_s * SECOND_NS > earliest_ns + AHEAD_S * SECOND_NS
    )


def conform(name: str, table: Mapping[str, Any]) -> Arguments | None:
    """The command's arguments, or None unless they are exactly as required."""
    kind = COMMANDS.get(name)
    if kind is None or table.keys() != {field.name for field in fields(kind)}:
        return None
    hints = get_type_hints(kind, include_extras=True)
    if not all(_fits(table[field], hint) for field, hint in hints.items()):
        return None
    recording = str(table.get("recording", ""))
    if recording and not is_recording_id(recording):
        return None
    return kind(**table)


def _fits(value: Any, hint: Any) -> bool:
    """One of `messages`' own annotations: a type with an interval or a length."""
    if type(value) is not hint.__origin__:
        return False
    for limit in hint.__metadata__:
        if isinstance(limit, Interval):
            return bool(limit.ge <= value <= limit.le)
        if isinstance(limit, Len):
            return bool(limit.min_length <= len(value) <= (limit.max_length or len(value)))
    return False
