"""Flips single bits of a vault that was closed in order; every one must be noticed.

The vault is small, so that every bit of every file can be tried.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from bwv_device.settings import Recording, Settings
from bwv_device.verification.vault_report import verify
from hal.simulated.disk import TEARS
from sim.world.test_keys import BenchAgency
from sim.world.world import World, stub_media


class Flip(NamedTuple):
    path: Path
    byte: int
    bit: int


@dataclass
class BitFlipOutcome:
    tried: int = 0
    unnoticed: list[Flip] = field(default_factory=list)


def small_vault(folder: Path) -> x509.Certificate:
    """Two short recordings and a power cut between two boots; returns the agency's root."""
    agency = BenchAgency()
    settings = replace(Settings(), recording=Recording(pre_event_s=0, segment_s=10))
    world = World(settings, agency.device, agency.recipients, media=stub_media(60_000, fps=5))
    world.boot()
    world.run(seconds=1.2)
    world.press_record_twice()
    world.run(seconds=1.5)
    world.power_cut(TEARS[-1])
    world.boot()
    world.run(seconds=1.2)
    world.press_record_twice()
    world.run(seconds=1.5)
    world.hold_record()
    world.run(seconds=1)
    world.shut_down()
    world.disk.dump(folder)
    return agency.root


def every(folder: Path) -> Iterator[Flip]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        for byte in range(path.stat().st_size):
            for bit in range(8):
                yield Flip(path, byte, bit)


def sampled(folder: Path, count: int, seed: int = 0) -> Iterator[Flip]:
    """Half of them in the ledger, where the format has its corners."""
    draw = random.Random(seed)  # noqa: S311 - which bits to try is no secret
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    ledgers = [path for path in files if path.suffix == ".ledger"]
    for number in range(count):
        path = draw.choice(ledgers if number % 2 else files)
        yield Flip(path, draw.randrange(path.stat().st_size), draw.randrange(8))


def run(folder: Path, root: x509.Certificate, flips: Iterable[Flip]) -> BitFlipOutcome:
    """Each flip is undone before the next."""
    outcome = BitFlipOutcome()
    for flip in flips:
        outcome.tried += 1
        with flip.path.open("r+b", buffering=0) as file:
            file.seek(flip.byte)
            original = file.read(1)
            file.seek(flip.byte)
            file.write(bytes([original[0] ^ 1 << flip.bit]))
            if verify(folder, [root]).complete:
                outcome.unnoticed.append(flip)
            file.seek(flip.byte)
            file.write(original)
    return outcome
