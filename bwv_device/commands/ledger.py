"""`bwv ledger`: the camera's diary in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from bwv_device.errors import VaultError
from bwv_device.formats.ledger_lines import DIRECTORY, parse_line

HIDDEN = {"n", "prev", "t", "kind", "header", "nonce", "certificate", "boot_key", "sha256"}
HIDDEN |= {"device_signature", "plaintext_sha256", "plaintext_length", "config_sha256"}


@click.command()
@click.argument("vault", type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Also the 'sync' lines.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as written.")
def command(vault: Path, everything: bool, as_json: bool) -> None:
    """Prints the diary of VAULT, a line an entry. It does not judge it: see 'bwv verify'."""
    if not (vault / DIRECTORY).is_dir():
        raise VaultError(f"{vault} is no vault: it has no {DIRECTORY} folder.", "Name the vault.")
    hidden = 0
    for fields in _lines(vault):
        if fields["kind"] == "sync" and not everything:
            hidden += 1
            continue
        click.echo(json.dumps(fields, sort_keys=True) if as_json else _words(fields))
    if hidden and not as_json:
        click.echo(f"({hidden} 'sync' lines are not shown; --all shows them)", err=True)


def _lines(vault: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((vault / DIRECTORY).iterdir()):
        for raw in path.read_bytes().split(b"\n"):
            try:
                yield parse_line(raw).fields
            except ValueError:
                if raw:
                    yield {"kind": "unreadable", "n": 0, "t": 0, "bytes": len(raw)}


def _words(fields: dict[str, Any]) -> str:
    seconds = fields["t"] / 1e9
    said = ", ".join(f"{k} {_value(v)}" for k, v in fields.items() if k not in HIDDEN)
    return f"{fields['n']:>6}  {seconds:>12.3f} s  {fields['kind']:<10} {said}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} {_value(item)}" for key, item in value.items()) + ")"
    if isinstance(value, list):
        return "; ".join(_value(item) for item in value)
    return str(value)
