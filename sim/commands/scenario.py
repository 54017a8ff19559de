"""`bwv-sim scenario`: written shifts."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from sim.commands.options import BROKEN
from sim.scenario.acts import ACTS
from sim.scenario.expectations import EXPECTATIONS
from sim.scenario.play import load, play


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--all", "shipped", is_flag=True, help="Plays all that come with the simulator.")
@click.option("--phrases", is_flag=True, help="Lists every sentence there is.")
@click.option("-v", "--verbose", is_flag=True, help="Prints every step.")
def command(files: tuple[Path, ...], shipped: bool, phrases: bool, verbose: bool) -> None:
    """Plays shifts written in sentences and explains what did not come as expected."""
    if phrases:
        _list_phrases()
        return
    chosen = [*files, *(shipped_files() if shipped else ())]
    if not chosen:
        raise click.UsageError("Name a scenario file, or give --all or --phrases.")
    failed = [path for path in chosen if not _play(path, verbose)]
    if len(chosen) > 1:
        click.echo(f"{len(chosen)} scenarios, {len(failed)} failed")
    sys.exit(BROKEN if failed else 0)


def shipped_files() -> list[Path]:
    folder = Path(str(resources.files("sim").joinpath("scenario", "shipped")))
    return sorted(folder.glob("*.toml"))


def _play(path: Path, verbose: bool) -> bool:
    scenario = load(path)
    failures = play(scenario, click.echo if verbose else lambda text: None)
    click.echo(f"{'FAILED' if failures else 'passed'}  {path.stem}: {scenario.title}")
    for failure in failures:
        click.echo(f"  {failure.sentence}")
        click.echo(f"    but {failure.instead}")
        for line in failure.timeline:
            click.echo(f"    {line}")
    return not failures


def _list_phrases() -> None:
    for title, known in (
        ("at mm:ss …", ACTS),
        ("at mm:ss expect …, finally expect …", EXPECTATIONS),
    ):
        table = Table(title, "", box=None)
        for item in known:
            table.add_row(item.form.replace("[", "\\["), item.meaning)
        Console().print(table)
