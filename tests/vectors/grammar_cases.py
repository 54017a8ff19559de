"""Values that just fit and values that just don't, for every field of every kind and statement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bwv_device.formats.grammar.decode import Field, layout
from bwv_device.formats.grammar.ledger_kinds import KINDS
from bwv_device.formats.grammar.statements import PURPOSES, Receipt

LONG = 200


def cases() -> list[dict[str, Any]]:
    """`what` is a kind of line, or the purpose of a statement. `fields` are good but for `field`,
    whose `value` decides whether it `fits`; no `value`: the field is absent."""
    made = []
    for what, kind in KINDS.items():
        made += _of(what, kind)
    made += _of(PURPOSES[Receipt], Receipt)
    return made


def good(kind: type, *, whole: bool = True) -> dict[str, Any]:
    """Fields that fit; `whole`: also those that may be absent."""
    return {f.key: _good(f)[0] for f in layout(kind) if whole or f.required}


def value_of(case: dict[str, Any]) -> Any:
    """A long text stands in a case as a character and how often it comes."""
    value = case["value"]
    if isinstance(value, dict) and value.keys() == {"repeat", "times"}:
        return value["repeat"] * value["times"]
    return value


def _of(what: str, kind: type) -> Iterator[dict[str, Any]]:
    fields = layout(kind)
    yield {"what": what, "whole": True, "fits": True}
    yield {"what": what, "whole": False, "fits": True}
    for field in fields:
        if field.required:
            yield {"what": what, "without": field.key, "fits": False}
        for fits, values in ((True, _good(field)), (False, _bad(field))):
            for value in values:
                yield {"what": what, "field": field.key, "value": _short(value), "fits": fits}


def _good(field: Field) -> list[Any]:
    if field.form is None:
        values: list[Any] = [{}]
    elif isinstance(field.form, type):
        values = [good(field.form)]
    else:
        values = field.form.good()
    return values if field.most is None else [values[:1], [], values]


def _bad(field: Field) -> list[Any]:
    if field.form is None:
        values: list[Any] = [[], "x", None, 5]
    elif isinstance(field.form, type):
        fine = good(field.form)
        values = [[], "x", None, *({k: v for k, v in fine.items() if k != gone} for gone in fine)]
        for inner in layout(field.form):
            values += [{**fine, inner.key: value} for value in _bad(inner)]
    else:
        values = field.form.bad()
    if field.most is None:
        return values
    fine = _good(field)[0]
    too_many = [] if field.most > LONG else [fine * (field.most + 1)]
    return [None, "x", {}, *too_many, *([value] for value in values)]


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONG and len(set(value)) == 1:
        return {"repeat": value[0], "times": len(value)}
    return value
