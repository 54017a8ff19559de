"""`bwv-sim campaign`: many shifts."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import click
from rich.console import Console

from bwv_device.files import writable_folder
from sim.commands.options import BROKEN, INTERRUPTED, Seeds, command_for, of_a_shift, progress
from sim.shifts import campaign
from sim.shifts.drawn_shift import Shift

SHOWN = 3


@click.command()
@click.option("--seeds", type=Seeds(), default="0:50", show_default=True)
@of_a_shift
@click.option("--jobs", type=click.IntRange(1, 256), default=2, show_default=True)
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Writes JUnit XML.")
@click.option("--json", "summary", type=click.Path(dir_okay=False, path_type=Path),
              help="Writes a summary.")  # fmt: skip
@click.option("--until-failure", is_flag=True, help="Stops at the first seed that fails.")
def command(
    seeds: range,
    duration_s: int,
    fault_names: tuple[str, ...],
    jobs: int,
    junit: Path | None,
    summary: Path | None,
    until_failure: bool,
) -> None:
    """Plays many drawn shifts; for each that fails prints the command that repeats it.

    Ctrl-C ends it early, with the summary of the shifts that were played.
    """
    for place in (junit, summary):
        if place is not None:
            writable_folder(place.parent)
    console = Console(soft_wrap=True, highlight=False)
    results: list[campaign.Result] = []
    bar = progress(console, "shifts")
    commands: dict[int, str] = {}
    with suppress(KeyboardInterrupt), bar:
        task = bar.add_task("shifts", total=len(seeds))
        shifts = (Shift(seed, duration_s, fault_names) for seed in seeds)
        for result in campaign.run(shifts, jobs):
            results.append(result)
            bar.advance(task)
            if result.findings:
                again = f"{command_for(result.shift)}    # at commit {campaign.commit()}"
                commands[result.shift.seed] = again
                console.print("\n".join([again, *result.findings[:SHOWN]]), markup=False)
                if until_failure:
                    break
    if len(results) < len(seeds):
        console.print(f"Ended early, after {len(results)} of {len(seeds)} shifts.")
    results.sort(key=lambda result: result.shift.seed)
    if junit:
        campaign.write_junit(results, commands, junit)
    if summary:
        campaign.write_summary(results, summary)
    totals = campaign.summary(results)
    console.print(
        f"{len(results)} shifts, {totals['virtual_hours']:g} virtual hours, "
        f"{totals['totals'].get('power cuts', 0)} power cuts, {len(commands)} failed"
    )
    struck = ", ".join(f"{name} {number}" for name, number in totals["strikes"].items())
    console.print(f"struck: {struck or 'nothing'}", markup=False)
    if len(results) < len(seeds) and not until_failure:
        sys.exit(INTERRUPTED)
    sys.exit(BROKEN if commands else 0)
