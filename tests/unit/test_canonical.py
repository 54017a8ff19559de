from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable

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

MIB = 1 << 20
# Each was or could be slow for some parser: n gives about n bytes.
HOSTILE: dict[str, Callable[[int], bytes]] = {
    "escaped quotes, never closed": lambda n: b'{"a":"' + b'\\"' * (n // 2),
    "open strings": lambda n: b'{"' * (n // 2),
    "open lists": lambda n: b"[" * n,
    "open objects": lambda n: b'{"a":' * (n // 5),
    "one long integer": lambda n: b'{"a":' + b"9" * n + b"}",
    "long integers": lambda n: b'{"a":[' + b",".join([b"9" * 4000] * (n // 4001)) + b"]}",
    "short integers": lambda n: b'{"a":[' + b",".join([b"1"] * (n // 2)) + b"]}",
    "a long fraction": lambda n: b'{"a":' + b"1" * n + b".5}",
    "an exponent": lambda n: b'{"a":1e' + b"9" * n + b"}",
    "white space": lambda n: b"{" + b" " * n,
    "empty lists": lambda n: b'{"a":[' + b",".join([b"[]"] * (n // 3)) + b"]}",
    "keys": lambda n: b"{" + b",".join(b'"%08d":1' % i for i in range(n // 11)) + b"}",
    "keys with one long beginning": lambda n: (
        b"{" + b",".join(b'"' + b"a" * 2000 + b'%06d":1' % i for i in range(n // 2011)) + b"}"
    ),
    "half characters": lambda n: b'{"a":"' + b"\\ud800" * (n // 6) + b'"}',
    "one key again and again": lambda n: b"{" + b",".join([b'"a":1'] * (n // 6)) + b"}",
}


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
        b'{"a":' * 17 + b"1" + b"}" * 17,
        b'{"a":"\\ud800"}',
        b'{"\\udfff":1}',
        b'{"a":["\\udc00\\ud800"]}',
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


def test_half_a_character_is_refused_when_written() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        canonical_json.encode({"a": ["\ud800"]})
    assert canonical_json.encode({"a": canonical_json.without_surrogates("a\ud800ä")}) == (
        b'{"a":"a?\\u00e4"}'
    )


# Eight times the bytes: what is in proportion takes eight times as long, what is quadratic
# sixty-four times. Other work on the machine only ever adds time, so the least of several rounds
# counts, and a round more is played as long as the answer is not clear.
LIMIT = 24
ROUNDS = 8


@pytest.mark.parametrize("name", HOSTILE)
def test_reading_takes_time_in_proportion_to_the_bytes(name: str) -> None:
    ratio = eight_times(HOSTILE[name], MIB // 16, canonical_json.decode, enough=LIMIT)
    assert ratio < LIMIT, f"{ratio:.1f}"


def test_the_measure_of_proportion_finds_what_is_quadratic() -> None:
    """A reader that looks at everything before it again, every 64 bytes."""

    def quadratic(data: bytes) -> None:
        for at in range(0, len(data), 64):
            sum(data[:at])

    hostile = HOSTILE["escaped quotes, never closed"]
    assert eight_times(hostile, MIB // 128, quadratic, enough=0) > LIMIT


def eight_times(
    make: Callable[[int], bytes], n: int, read: Callable[[bytes], object], enough: float
) -> float:
    """How many times longer `read` takes for eight times `n` bytes, in processor time; `enough`
    ends the rounds."""
    small, large = make(n), make(8 * n)
    grain_s = 0.002  # below that, the clock's own grain counts
    small_s = large_s = float("inf")
    gc.disable()  # how often it runs is the whole process's affair
    try:
        for _ in range(ROUNDS):
            small_s, large_s = (
                min(small_s, seconds(small, read)),
                min(large_s, seconds(large, read)),
            )
            ratio = large_s / max(grain_s, small_s)
            if ratio < enough:
                break
    finally:
        gc.enable()
    return ratio


def seconds(data: bytes, read: Callable[[bytes], object]) -> float:
    began = time.process_time()
    with contextlib.suppress(ValueError):
        read(data)
    return time.process_time() - began
