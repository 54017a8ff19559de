"""`bwv ledger`: a camera's ledger in words."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from bwv_device.errors import VaultError
from bwv_device.formats.ledger_lines import DIRECTORY, LINE_LIMIT, parse_line
from bwv_device.formats.visible_text import visible
from bwv_device.verification.ledger_chain import is_plain_file

HIDDEN = {"n", "prev", "t", "kind", "header", "nonce", "certificate", "boot_key", "sha256", "time"}
HIDDEN |= {"device_signature", "plaintext_sha256", "plaintext_length", "config_sha256", "statement"}
# More than any line has. What is longer was not written by a camera.
SECOND_NS = 1_000_000_000
# A clock that was never set states an error of more than a year.
UNKNOWN_NS = 366 * 86_400 * SECOND_NS


@click.command()
@click.argument("vault", type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Also the 'sync' lines.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as written.")
def command(vault: Path, everything: bool, as_json: bool) -> None:
    """Prints the ledger of VAULT, one line an entry, with the time of day (UTC).

    Times are the camera's own, with the error that it claimed; before its clock was set they are
    seconds since it was switched on. This does not judge the ledger: see 'bwv verify'.
    """
    if not (vault / DIRECTORY).is_dir():
        raise VaultError(
            f"{vault} is not a vault: it has no {DIRECTORY} folder.", "Name the vault."
        )
    hidden, clock = 0, _Clock()
    for fields in _lines(vault):
        when = clock.read(fields)
        if fields["kind"] == "sync" and not everything:
            hidden += 1
            continue
        click.echo(json.dumps(fields, sort_keys=True) if as_json else visible(_words(fields, when)))
    if hidden and not as_json:
        click.echo(f"({hidden} 'sync' lines are not shown; --all shows them)", err=True)


class _Clock:
    """The camera's wall clock, followed through the lines that hold a reading of it."""

    def __init__(self) -> None:
        self._ahead_ns: int | None = None
        self._error_ns = 0

    def read(self, fields: dict[str, Any]) -> str:
        """The time of a line."""
        if fields["kind"] == "boot":
            self._ahead_ns = None
        reading = fields if fields["kind"] == "time" else fields.get("time")
        if isinstance(reading, dict):
            utc_ns, error_ns = reading.get("utc_ns"), reading.get("error_ns")
            if type(utc_ns) is int and type(error_ns) is int:
                self._ahead_ns = utc_ns - fields["t"] if error_ns < UNKNOWN_NS else None
                self._error_ns = error_ns
        if self._ahead_ns is not None:
            try:
                seconds = (fields["t"] + self._ahead_ns) / SECOND_NS
                moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
                return f"{moment:%Y-%m-%d %H:%M:%S} ± {self._error_ns / SECOND_NS:.1f} s"
            except (OverflowError, ValueError, OSError):
                pass
        return f"{fields['t'] / SECOND_NS:.3f} s after power-on (clock not set)"


def _lines(vault: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((vault / DIRECTORY).iterdir()):
        if not is_plain_file(path):
            click.echo(f"{visible(path.name)} is not a plain file and is left out.", err=True)
            continue
        with path.open("rb") as file:
            while raw := file.readline(LINE_LIMIT):
                try:
                    yield parse_line(raw.removesuffix(b"\n")).fields
                except ValueError:
                    rest = path.stat().st_size - file.tell() if len(raw) == LINE_LIMIT else 0
                    yield {"kind": "unreadable", "n": 0, "t": 0, "bytes": len(raw) + rest}
                    if len(raw) == LINE_LIMIT:
                        break


def _words(fields: dict[str, Any], when: str) -> str:
    said = ", ".join(f"{k} {_value(v)}" for k, v in fields.items() if k not in HIDDEN)
    return f"{fields['n']:>6}  {when:<29}  {fields['kind']:<10} {said}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} {_value(item)}" for key, item in value.items()) + ")"
    if isinstance(value, list):
        return "; ".join(_value(item) for item in value)
    return str(value)
