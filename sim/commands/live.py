"""`bwv-sim live`: a simulated camera to play with, in the terminal or in a browser."""

from __future__ import annotations

import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.live import Live

from bwv_device.config import load
from bwv_device.settings import Settings
from sim.commands.options import Hours
from sim.live.live_panel import LivePanel

FRAME_S = 0.1


@click.command()
@click.option("--rate", type=click.IntRange(1, 1000), default=1, show_default=True,
              help="How much faster than real time.")  # fmt: skip
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Settings to use.")
@click.option("--web", is_flag=True, help="In a browser, on this machine only.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True,
              help="With --web; 0 takes a free one.")  # fmt: skip
@click.option("--clip", type=click.Path(path_type=Path),
              help="With --web: a video file as the scene.")  # fmt: skip
@click.option("--seed", type=int, help="With --web: watch the shift that this seed draws.")
@click.option("--hours", "duration_s", type=Hours(), default="0.5", show_default=True,
              help="With --seed: how long it lasts.")  # fmt: skip
@click.option("--no-browser", is_flag=True, help="With --web: do not open a browser.")
def command(
    rate: int,
    config_file: Path | None,
    web: bool,
    port: int,
    clip: Path | None,
    seed: int | None,
    duration_s: int,
    no_browser: bool,
) -> None:
    """A camera to play with. In the terminal: r records, s stops, c cuts the power, q quits. With
    --web everything is on a page, and Ctrl-C ends it."""
    if web:
        from sim.live.serve_web_panel import LIVE, serve

        settings = load(config_file).settings if config_file else LIVE
        serve(settings, port, clip, min(rate, 60), seed, duration_s, browser=not no_browser)
        return
    if not sys.stdin.isatty():
        raise click.UsageError("bwv-sim live needs a terminal for its keys.")
    panel = LivePanel(load(config_file).settings if config_file else Settings(), rate)
    with _single_keys(), Live(panel.screen(), auto_refresh=False, screen=True) as screen:
        before_ns = time.monotonic_ns()
        while not panel.over:
            for key in _keys(FRAME_S):
                panel.press_key(key)
            now_ns = time.monotonic_ns()
            panel.advance(now_ns - before_ns)
            before_ns = now_ns
            screen.update(panel.screen(), refresh=True)
    click.echo(f"The camera was {panel.camera.state} at the end.")


@contextmanager
def _single_keys() -> Iterator[None]:
    """Keys come at once, without being shown; the terminal is put back in any case."""
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _keys(wait_s: float) -> Iterator[str]:
    while select.select([sys.stdin], [], [], wait_s)[0]:
        key = sys.stdin.read(1)
        if not key:
            return
        yield key
        wait_s = 0
