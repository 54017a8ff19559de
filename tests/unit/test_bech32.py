from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bwv_device.formats import bech32


@given(st.binary(max_size=1300))
def test_round_trip(data: bytes) -> None:
    assert bech32.decode(bech32.encode("age1pq", data)) == ("age1pq", data)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 57), st.sampled_from(bech32.ALPHABET))
def test_one_wrong_character_is_noticed(data: bytes, at: int, letter: str) -> None:
    text = bech32.encode("age", data)
    at += len("age1")
    if text[at] != letter:
        with pytest.raises(ValueError, match="checksum"):
            bech32.decode(text[:at] + letter + text[at + 1 :])


@pytest.mark.parametrize("text", ["", "age", "age1", "Age1qqqqqq", "age1bbbbbbbbbb", "1qqqqqqqq"])
def test_malformed_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any reason will do
        bech32.decode(text)
