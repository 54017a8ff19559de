"""`bwv cues`: which beeps can be heard in a film, and whether a red light flashes in it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bwv_device.commands.cli.tables import print_table
from bwv_device.errors import MissingPartError

# Beepers sound below 5 kHz; a higher tone needs a higher rate.
HIGH_TONE_HZ, HIGH_RATE_HZ = 6_000, 32_000


@click.command()
@click.argument("film", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--tone", type=click.IntRange(200, 12_000), help="Hertz. Default: found by itself.")
@click.option("--vault", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Compares with the cue lines of its ledger.")  # fmt: skip
@click.option("--light", is_flag=True, help="Also looks for a flashing red light (in a mirror).")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="A PNG file.")
@click.option("--json", "as_json", is_flag=True)
def command(
    film: Path, tone: int | None, vault: Path | None, light: bool, plot: Path | None, as_json: bool
) -> None:
    """Reports when beeps can be heard in an exported FILM, and how far apart they are."""
    try:
        from bwv_device.field_test import hearing
        from bwv_device.field_test.films import RATE_HZ, FilmSound, pictures
        from bwv_device.field_test.seeing import flashing, redness
    except ImportError as error:
        raise MissingPartError(
            f"The analysis of films needs {error.name}.", "pip install 'bwv-device[check]'"
        ) from None
    heard = FilmSound(film, HIGH_RATE_HZ if (tone or 0) > HIGH_TONE_HZ else RATE_HZ)
    tone_hz = float(tone) if tone else hearing.find_tone(heard, heard.rate_hz)
    found = hearing.beeps(heard, heard.rate_hz, tone_hz) if tone_hz else []
    signals = hearing.signals(found)
    result: dict[str, Any] = {
        "film": film.name,
        "length_s": round(heard.length_s, 3),
        "tone_hz": tone_hz,
        "signals": [_row(signal) for signal in signals],
        "longest_silence_s": _longest_silence_s(
            [signal.at_s for signal in signals], heard.length_s
        ),
    }
    if vault is not None:
        result["cues"] = _compare(film, vault, [beep.at_s for beep in found])
    if light:
        shown = [(picture.at_s, redness(picture.image)) for picture in pictures(film)]
        seen = flashing([at_s for at_s, _ in shown], [red for _, red in shown])
        result["light"] = seen._asdict() if seen else None
    if plot is not None:
        from bwv_device.field_test import plots

        plots.heard(plot, heard, heard.rate_hz, tone_hz, signals)
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        _show(result)


def _row(signal: Any) -> dict[str, Any]:
    return {
        "at_s": round(signal.at_s, 3),
        "signal": signal.name,
        "longest_s": round(signal.longest_s, 3),
        "level_dbfs": round(signal.level_dbfs, 1),
    }


def _longest_silence_s(at_s: list[float], length_s: float) -> float:
    """The longest time without a beep."""
    return round(max(b - a for a, b in itertools.pairwise([0.0, *at_s, length_s])), 3)


def _compare(film: Path, vault: Path, at_s: list[float]) -> list[dict[str, Any]]:
    """For each sound that the ledger says was made during the film: how late it is heard."""
    recording = film.stem.split(".")[0]
    lines = list(_lines(vault / "ledger" / f"{recording[:8]}.ledger"))
    opened = [li for li in lines if li["kind"] == "open" and li["recording"] == recording]
    if not opened:
        raise click.UsageError(f"{vault} has no recording {recording}")
    start_ns = min(line["first_pts_ns"] for line in opened)
    closed = [li for li in lines if li["kind"] == "close" and li["recording"] == recording]
    end_ns = start_ns + closed[0]["duration_ms"] * 1_000_000 if closed else 1 << 62
    cues = [li for li in lines if li["kind"] == "cue" and "sound" in li]
    rows = []
    for cue in cues:
        if start_ns <= cue["t"] < end_ns:
            due_s = (cue["t"] - start_ns) / 1e9
            near = min(at_s, key=lambda at: abs(at - due_s), default=None)
            late_ms = None if near is None or abs(near - due_s) > 1 else (near - due_s) * 1000
            rows.append({
                "sound": cue["sound"],
                "due_s": round(due_s, 3),
                "late_ms": None if late_ms is None else round(late_ms),
            })  # fmt: skip
    return rows


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Up to where the ledger is torn, if it is."""
    from bwv_device.formats.ledger_lines import LINE_LIMIT, parse_line

    if not path.is_file():
        return
    with path.open("rb") as file:
        while (raw := file.readline(LINE_LIMIT)).endswith(b"\n"):
            try:
                yield parse_line(raw[:-1]).fields
            except ValueError:
                return


def _show(result: dict[str, Any]) -> None:
    console = Console(highlight=False)
    if not result["signals"]:
        console.print("No beeps can be heard.")
    else:
        table = Table(box=None, pad_edge=False)
        for name in ("at", "signal", "level", "since the last"):
            table.add_column(name, justify="left" if name == "signal" else "right")
        before = None
        for row in result["signals"]:
            since = "" if before is None else f"{row['at_s'] - before:.1f} s"
            level = f"{row['level_dbfs']:.0f} dBFS"
            table.add_row(f"{row['at_s']:.2f} s", row["signal"], level, since)
            before = row["at_s"]
        print_table(table, console)
        console.print(f"A tone of {result['tone_hz']:.0f} Hz.", end=" ")
    console.print(
        f"Of {result['length_s']:.1f} s, the longest without a beep are "
        f"{result['longest_silence_s']:.1f} s."
    )
    for cue in result.get("cues", ()):
        word = "not heard" if cue["late_ms"] is None else f"heard {cue['late_ms']} ms later"
        console.print(f"Ledger: {cue['sound']!r} at {cue['due_s']:.2f} s: {word}.")
    if "light" in result:
        seen = result["light"]
        if seen is None:
            console.print("No flashing red light is seen.")
        else:
            console.print(
                f"A red light flashes {seen['on_s'] * 1000:.0f} ms on, {seen['off_s'] * 1000:.0f} "
                f"ms off, {seen['flashes']} times."
            )
