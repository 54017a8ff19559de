"""`bwv-sim months`: an agency's custody, month after month."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from bwv_device.files import writable_folder
from sim.commands.options import BROKEN, INTERRUPTED, Names, Seeds, progress
from sim.custody import months
from sim.custody.months import SWARM, Months, PlayedMonths
from sim.shifts.campaign import commit, on_processes

SHOWN = 6


@click.command()
@click.option("--seeds", type=Seeds(), default="0:4", show_default=True)
@click.option("--days", type=click.IntRange(1, 2000), default=months.DAYS, show_default=True)
@click.option(
    "--troubles",
    "trouble_names",
    type=Names(months.named_troubles),
    default=SWARM,
    show_default=True,
    help="swarm (drawn from the seed), none, or names with commas (docs/faults.md).",
)
@click.option("--jobs", type=click.IntRange(1, 256), default=2, show_default=True)
@click.option(
    "--json", "summary", type=click.Path(dir_okay=False, path_type=Path), help="Writes a summary."
)
@click.option("--until-failure", is_flag=True,
              help="Stops at the first seed that fails.")  # fmt: skip
def command(
    seeds: range,
    days: int,
    trouble_names: tuple[str, ...],
    jobs: int,
    summary: Path | None,
    until_failure: bool,
) -> None:
    """Plays months of an agency: shifts, dockings, holds, releases, requests, deletion, and what
    goes wrong. For each seed that fails prints the command that repeats it."""
    if summary is not None:
        writable_folder(summary.parent)
    console = Console(soft_wrap=True, highlight=False)
    bar = progress(console, "months")
    played: list[PlayedMonths] = []
    with suppress(KeyboardInterrupt), bar:
        task = bar.add_task("months", total=len(seeds))
        wanted = (Months(seed, days, trouble_names) for seed in seeds)
        for one in on_processes(months.play, wanted, jobs):
            played.append(one)
            bar.advance(task)
            if one.findings:
                console.print("\n".join(_failed(one)), markup=False)
                if until_failure:
                    break
    played.sort(key=lambda one: one.months.seed)
    if summary:
        summary.write_text(json.dumps(_summary(played), indent=2) + "\n")
    _tell(console, played)
    if len(played) < len(seeds) and not until_failure:
        sys.exit(INTERRUPTED)
    sys.exit(BROKEN if any(one.findings for one in played) else 0)


def _failed(one: PlayedMonths) -> list[str]:
    names = ",".join(one.months.trouble_names) or "none"
    again = f"bwv-sim months --seeds {one.months.seed} --days {one.months.days} --troubles {names}"
    more = len(one.findings) - SHOWN
    return [
        f"{again}    # at commit {commit()}",
        *map(str, one.findings[:SHOWN]),
        *([f"and {more} more"] if more > 0 else []),
    ]


def _tell(console: Console, played: Sequence[PlayedMonths]) -> None:
    total = _summary(played)
    totals = ", ".join(f"{number} {name}" for name, number in total["totals"].items())
    struck = ", ".join(f"{name} {number}" for name, number in total["strikes"].items())
    failed = len(total["failed"])
    console.print(f"{len(played)} seeds, {failed} failed: {totals}", markup=False)
    console.print(f"struck: {struck or 'nothing'}", markup=False)


def _summary(played: Sequence[PlayedMonths]) -> dict[str, Any]:
    strikes, totals = Counter[str](), Counter[str]()
    for one in played:
        strikes.update(one.strikes)
        totals.update(one.counts)
    return {
        "commit": commit(),
        "seeds": len(played),
        "failed": [
            {"seed": one.months.seed, "findings": [str(finding) for finding in one.findings]}
            for one in played
            if one.findings
        ],
        "strikes": dict(sorted(strikes.items())),
        "totals": dict(sorted(totals.items())),
    }
