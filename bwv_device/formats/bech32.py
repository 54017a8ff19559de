"""Bech32 (BIP 173) without its length limit, as age keys need it."""

from __future__ import annotations

from collections.abc import Iterable

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
CHECKSUM_LENGTH = 6


def encode(prefix: str, data: bytes) -> str:
    """The lower-case Bech32 string of `data` under a lower-case `prefix`."""
    values = _regroup(data, 8, 5, pad=True)
    mask = _polymod([*_expand(prefix), *values, *[0] * CHECKSUM_LENGTH]) ^ 1
    checksum = [(mask >> 5 * (5 - i)) & 31 for i in range(CHECKSUM_LENGTH)]
    return prefix + "1" + "".join(ALPHABET[v] for v in [*values, *checksum])


def decode(text: str) -> tuple[str, bytes]:
    """The lower-case prefix and the data. Raises `ValueError` for anything but canonical Bech32."""
    if text not in (text.lower(), text.upper()):
        raise ValueError("mixed case")
    text = text.lower()
    prefix, separator, rest = text.rpartition("1")
    if not separator or not prefix or len(rest) < CHECKSUM_LENGTH:
        raise ValueError("no separator, prefix or checksum")
    if not all(33 <= ord(c) <= 126 for c in prefix) or not set(rest) <= set(ALPHABET):
        raise ValueError("a character that Bech32 does not use")
    values = [ALPHABET.index(c) for c in rest]
    if _polymod([*_expand(prefix), *values]) != 1:
        raise ValueError("checksum mismatch")
    return prefix, bytes(_regroup(values[:-CHECKSUM_LENGTH], 5, 8, pad=False))


def _polymod(values: Iterable[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for i, constant in enumerate(GENERATOR):
            if top >> i & 1:
                checksum ^= constant
    return checksum


def _expand(prefix: str) -> list[int]:
    return [*(ord(c) >> 5 for c in prefix), 0, *(ord(c) & 31 for c in prefix)]


def _regroup(values: Iterable[int], from_bits: int, to_bits: int, *, pad: bool) -> list[int]:
    accumulator, bits, groups = 0, 0, []
    for value in values:
        accumulator = accumulator << from_bits | value
        bits += from_bits
        while bits >= to_bits:
            bits -= to_bits
            groups.append(accumulator >> bits & ((1 << to_bits) - 1))
        accumulator &= (1 << bits) - 1
    if pad and bits:
        groups.append(accumulator << (to_bits - bits))
    elif not pad and (bits >= from_bits or accumulator):
        raise ValueError("padding that is not zero")
    return groups
