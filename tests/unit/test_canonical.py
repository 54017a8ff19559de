from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bwv_device.formats import canonical_json

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.text(), values, max_size=5)


@given(objects)
def test_round_trip(value: dict) -> None:
    assert canonical_json.decode(canonical_json.encode(value)) == value


@given(objects)
def test_bytes_are_printable_ascii_on_one_line(value: dict) -> None:
    assert all(0x20 <= byte < 0x80 for byte in canonical_json.encode(value))


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":01}',
        b'{"a":-0}',
        b'{"a":1,"a":1}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":"\xc3\xa4"}',
        b'{"a":NaN}',
        b'{"a":9223372036854775808}',
        b'{"a":[-9223372036854775809]}',
        b'{"a":1' + b"0" * 5000 + b"}",
        b"[1]",
        b"",
        b"{" * 100_000,
    ],
)
def test_other_forms_of_a_value_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any reason will do
        canonical_json.decode(data)


def test_floats_are_refused_when_written() -> None:
    with pytest.raises(TypeError, match="smaller unit"):
        canonical_json.encode({"a": [{"b": 0.5}]})


def test_integers_end_at_64_bits_when_written() -> None:
    canonical_json.encode({"a": 2**63 - 1, "b": -(2**63)})
    with pytest.raises(ValueError, match="64 bits"):
        canonical_json.encode({"a": [2**63]})
