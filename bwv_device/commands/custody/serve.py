"""`bwv custody serve`: intake, retention and the log, each a process of its own with its own key.

Whatever intake meets, what is overdue is erased. This process starts them, starts them again where
one ends, and holds no key.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import click

from bwv_device.commands.custody.options import CustodyContext
from bwv_device.commands.custody.until_stopped import until_stopped

LOOK_S = 0.2
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
# One that ran so long has recovered: the next wait is short again.
STEADY_S = 300.0
ENDS_WITHIN_S = 30.0


@click.command()
@click.option(
    "--retention-as",
    required=True,
    type=click.Path(path_type=Path),
    help="The role key of the retention service; --as is the intake's.",
)
@click.pass_obj
def serve_command(context: CustodyContext, retention_as: Path) -> None:
    """Runs intake, retention with its reminders, and the daily look for what is lost, by
    themselves, so that deletion really is automatic."""
    own = context.own_arguments()
    services = [
        Service("intake", [*own, "--as", str(context.key_path), "intake", "--watch"]),
        Service("retention", [*own, "--as", str(retention_as), "expire", "--watch"]),
    ]
    if context.settings.service.completeness_h:
        own_key = ["--as", str(retention_as), "completeness", "--watch"]
        services.append(Service("completeness", [*own, *own_key]))
    if context.settings.log.key:
        services.append(Service("log", [*own, "log", "--watch"]))
    stopped = until_stopped()
    click.echo("Custody serves; Ctrl-C ends it.", err=True)
    try:
        while not stopped.wait(LOOK_S):
            for service in services:
                service.look(time.monotonic())
    finally:
        for service in services:
            service.end()


class Service:
    """One process, started again where it ends, after a while."""

    def __init__(self, name: str, arguments: list[str]) -> None:
        self._name, self._arguments = name, arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = self._due_s = float("-inf")
        self._wait_s = FIRST_WAIT_S

    def look(self, now_s: float) -> None:
        if self._process is not None and (code := self._process.poll()) is not None:
            if now_s - self._started_s >= STEADY_S:
                self._wait_s = FIRST_WAIT_S
            self._process, self._due_s = None, now_s + self._wait_s
            click.echo(
                f"{self._name} ended with {code}; it starts again in {self._wait_s:.0f} s.",
                err=True,
            )
            self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
        if self._process is None and now_s >= self._due_s:
            command = [sys.executable, "-P", "-m", "bwv_device", "custody", *self._arguments]
            self._process = subprocess.Popen(command)  # noqa: S603 - our own words
            self._started_s = now_s

    def end(self) -> None:
        """What is under way is finished first."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
