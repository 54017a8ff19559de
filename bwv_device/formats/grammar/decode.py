"""Decodes tables of JSON into classes of the grammar, once, at the border.

A class is a frozen dataclass; each field has a form (`forms`), is another such class, or a list of
either. A field with the default None may be absent; JSON's null fits nothing. Light enough for the
recording process: no validator is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, NamedTuple, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


class GrammarError(ValueError):
    """A table that is not of the form required; says of which field."""


@dataclass(frozen=True, slots=True)
class AtMost:
    """How many items a list may have."""

    items: int


class Field(NamedTuple):
    """`key` is the name in JSON. `form`: a `Form`, a class of the grammar, or None for a table of
    any content. `most`: of a list, how many items; None where it is no list."""

    name: str
    key: str
    required: bool
    form: Any
    most: int | None


@cache
def layout(kind: type) -> tuple[Field, ...]:
    """The fields of a class of the grammar, in order."""
    hints = get_type_hints(kind, include_extras=True)
    found = []
    for item in fields(kind):
        required = item.default is MISSING and item.default_factory is MISSING
        form, most = _form(hints[item.name])
        found.append(Field(item.name, item.name.rstrip("_"), required, form, most))
    return tuple(found)


def decode(kind: type[T], table: Mapping[str, Any], *, exact: bool = False) -> T:
    """The typed value. `exact` refuses keys that the classes do not know. Raises
    `GrammarError`."""
    values: dict[str, Any] = {}
    known = layout(cast(Any, kind))
    for field in known:
        if field.key in table:
            values[field.name] = _value(field, table[field.key], exact)
        elif field.required:
            raise GrammarError(f"lacks {field.key!r}")
    if exact and len(values) != len(table):
        keys = {field.key for field in known}
        odd = next(str(key) for key in table if key not in keys)
        raise GrammarError(f"has a field {odd[:40]!r} that it must not have")
    return kind(**values)


def _value(field: Field, value: Any, exact: bool) -> Any:
    if field.most is None:
        return _one(field, value, exact)
    if type(value) is not list or len(value) > field.most:
        raise GrammarError(f"has no list {field.key!r} of up to {field.most} items")
    return tuple(_one(field, item, exact) for item in value)


def _one(field: Field, value: Any, exact: bool) -> Any:
    if field.form is None or isinstance(field.form, type):
        if type(value) is not dict:
            raise GrammarError(f"has no table {field.key!r}")
        if field.form is None:
            return value
        try:
            return decode(field.form, value, exact=exact)
        except GrammarError as error:
            raise GrammarError(f"{field.key}: {error}") from None
    if not field.form.fits(value):
        raise GrammarError(f"{field.key!r} is not {field.form.words()}")
    return value


def _form(hint: Any) -> tuple[Any, int | None]:
    if get_origin(hint) in (Union, UnionType):  # X | None: may be absent
        inner = [part for part in get_args(hint) if part is not NoneType]
        return _form(inner[0])
    metadata: tuple[Any, ...] = getattr(hint, "__metadata__", ())
    for mark in metadata:
        if isinstance(mark, AtMost):
            (item, *_) = get_args(hint.__origin__)
            return _form(item)[0], mark.items
    if metadata:
        return metadata[0], None
    if is_dataclass(hint):
        return hint, None
    if get_origin(hint) is dict:
        return None, None
    raise TypeError(f"the grammar has no form for {hint!r}")
