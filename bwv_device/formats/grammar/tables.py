"""Writes the tables of docs/format.md from the grammar.

python -m bwv_device.formats.grammar.tables docs/format.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bwv_device.formats.grammar import forms, statements
from bwv_device.formats.grammar.decode import Field, layout
from bwv_device.formats.grammar.ledger_kinds import FOLLOWED, TOLD

BEGIN, END = "<!-- table: {} -->", "<!-- end of table -->"


def tables() -> dict[str, str]:
    """Markdown by name."""
    return {
        "followed": "\n".join(_kinds(FOLLOWED)),
        "told": "\n".join(_kinds(TOLD)),
        "statements": "\n".join(_statements()),
        "forms": "\n".join(_forms()),
    }


def written(page: str) -> str:
    """A page with its tables as they are now."""
    for name, table in tables().items():
        before, begin, rest = page.partition(BEGIN.format(name))
        _, end, after = rest.partition(END)
        if not end:
            raise ValueError(f"the page has no place for the table {name!r}")
        page = f"{before}{begin}\n\n{table}\n\n{end}{after}"
    return page


def _kinds(kinds: Mapping[str, type]) -> Iterator[str]:
    yield "| kind | fields | says |"
    yield "|---|---|---|"
    for name, kind in kinds.items():
        yield f"| `{name}` | {_fields(layout(kind))} | {' '.join(str(kind.__doc__).split())} |"


def _statements() -> Iterator[str]:
    yield "| purpose | fields | says |"
    yield "|---|---|---|"
    for kind, purpose in statements.PURPOSES.items():
        yield f"| `{purpose}` | {_fields(layout(kind))} | {' '.join(str(kind.__doc__).split())} |"


def _fields(fields: tuple[Field, ...]) -> str:
    return "; ".join(_field(field) for field in fields)


def _field(field: Field) -> str:
    name = f"`{field.key}`" + ("" if field.required else "?")
    if field.form is None:
        said = "table"
    elif isinstance(field.form, type):
        said = "{" + ", ".join(_field(inner) for inner in layout(field.form)) + "}"
    else:
        said = _short(field.form)
    return f"{name} {said}" if field.most is None else f"{name} up to {field.most} of {said}"


def _short(form: Any) -> str:
    return next((name for name, known in NAMED.items() if known == form), form.words())


# Forms that occur often, by the word that the tables use for them.
_ALIASES: dict[str, Any] = {
    "count": forms.Count,
    "positive": forms.Positive,
    "signed": forms.Signed,
    "moment": forms.Moment,
    "percent": forms.Percent,
    "boot": forms.BootNumber,
    "digest": forms.Digest,
    "nonce": forms.Nonce,
    "signature": forms.Signature,
    "device": forms.DeviceName,
    "segment": forms.SegmentFile,
    "recording": forms.RecordingId,
    "name": forms.PersonName,
    "word": forms.Word,
    "text": forms.FreeText,
    "yes": forms.Yes,
}
NAMED = {name: alias.__metadata__[0] for name, alias in _ALIASES.items()}


def _forms() -> Iterator[str]:
    yield "| form | is |"
    yield "|---|---|"
    for name, form in NAMED.items():
        yield f"| {name} | {form.words()} |"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(written(target.read_text()))
