"""Named streams of drawn numbers from one seed: a new draw in one part does not move the others."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

from hal.ports import SECOND_NS

T = TypeVar("T")


class Draws:
    """Whole numbers only, made from `getrandbits`, whose sequence Python has kept since 3.2."""

    def __init__(self, seed: int, name: str) -> None:
        self._seed, self._name = seed, name
        digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
        self._bits = random.Random(int.from_bytes(digest, "big")).getrandbits  # noqa: S311

    def stream(self, name: str) -> Draws:
        """A stream of its own, below this one."""
        return Draws(self._seed, f"{self._name}/{name}")

    def below(self, limit: int) -> int:
        """From 0 up to, without, `limit`. Raises `ValueError` where that is nothing."""
        if limit < 1:
            raise ValueError("nothing to draw from")
        bits = limit.bit_length()
        while (value := self._bits(bits)) >= limit:
            pass
        return value

    def between(self, low: int, high: int) -> int:
        """Both ends included."""
        return low + self.below(high - low + 1)

    def chance(self, permille: int) -> bool:
        return self.below(1000) < permille

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def spread(self, low: int, high: int) -> int:
        """Small ones as often as large ones: every doubling from `low` on has the same chance."""
        doublings = max(0, (high // low).bit_length() - 1)
        start = low << self.below(doublings + 1)
        return self.between(start, min(2 * start, high))

    def wait_ns(self, mean_s: int) -> int:
        """A waiting time of about `mean_s`, from a fifth of it to five times of it."""
        return self.spread(mean_s * SECOND_NS // 5, 5 * mean_s * SECOND_NS)
