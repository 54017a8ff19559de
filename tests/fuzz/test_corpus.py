"""Every kept input, and simple mutations of it, through its parser. The fuzzer itself runs in
`make ci` and `make campaign`."""

from __future__ import annotations

from pathlib import Path

import pytest
from targets import TARGETS

from sim.random_streams import Draws

CORPUS = Path(__file__).parent / "corpus"
MUTATIONS = 40


def test_every_parser_has_a_corpus() -> None:
    assert sorted(folder.name for folder in CORPUS.iterdir()) == sorted(TARGETS)


def mutated(data: bytes, draws: Draws) -> bytes:
    at = draws.below(len(data) + 1)
    kind = draws.below(4)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([draws.below(256)]) + data[at + 1 :]
    if kind == 2:
        return data[:at] + data[at + draws.below(64) :]
    return data[:at] + data[draws.below(len(data) + 1) :]


@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs_and_their_neighbours(name: str) -> None:
    target = TARGETS[name]
    for path in sorted((CORPUS / name).iterdir()):
        data, draws = path.read_bytes(), Draws(1, f"{name}/{path.name}")
        target(data)
        for _ in range(MUTATIONS):
            target(mutated(data, draws))
