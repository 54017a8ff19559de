"""What a drawn shift leaves to look at: its vault, the agency's root, and a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from bwv_device import keys
from bwv_device.verification.vault_report import verify
from hal.ports import SECOND_NS
from sim.shifts.drawn_shift import PlayedShift, bench_agency

VAULT, PAGE = "vault", "index.html"


class Told(NamedTuple):
    """Something that happened, at a time since the world began."""

    at_ns: int
    text: str


def write(folder: Path, played: PlayedShift, told: Sequence[Told], *, cut_short: bool) -> Path:
    """Writes `folder`, which must not hold a vault yet; gives the page's path."""
    agency = bench_agency()
    played.world.disk.dump(folder / VAULT)
    (folder / keys.ROOT).write_bytes(agency.files[keys.ROOT])
    environment = Environment(
        loader=PackageLoader("sim.shifts"), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("shift.html.jinja").render(
        shift=played.shift,
        faults=played.fault_names,
        counts=played.counts,
        strikes=played.strikes,
        findings=played.findings,
        told=[(clock(event.at_ns), event.text) for event in told],
        report=verify(folder / VAULT, [agency.root]),
        digest=played.digest,
        cut_short=cut_short,
    )
    path = folder / PAGE
    path.write_text(page)
    return path


def clock(at_ns: int) -> str:
    """Time since the start of the world."""
    milliseconds = at_ns // (SECOND_NS // 1000)
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}"
