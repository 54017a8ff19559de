"""`bwv custody intake` and `serve`: the services."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import click

from bwv_device.commands.custody.options import CustodyContext
from bwv_device.commands.role_key import load_role_key
from bwv_device.custody.intake.intake import Done, Intake, ReplicaStore
from bwv_device.custody.public_requests import reminders
from bwv_device.custody.retention.deletion import Expiry
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError
from hal.ports import StoreError


@click.command()
@click.option("--watch", is_flag=True, help="Go on until stopped.")
@click.pass_obj
def intake_command(desk: CustodyContext, watch: bool) -> None:
    """Verifies new uploads with public keys only, and issues receipts. Any number may run at
    once."""
    worker, stopped = make_worker(desk, desk.office), _until_stopped() if watch else None
    while True:
        try:
            _say(worker.once())
        except StoreError as error:
            if stopped is None:
                raise
            click.echo(f"The store does not answer, it is asked again: {error}", err=True)
        if stopped is None or stopped.wait(desk.settings.service.intake_s):
            return


@click.command()
@click.option(
    "--retention-as",
    required=True,
    type=click.Path(path_type=Path),
    help="The role key of the retention service; --as is the intake's.",
)
@click.pass_obj
def serve_command(desk: CustodyContext, retention_as: Path) -> None:
    """Runs intake, retention and reminders by itself, so that deletion really is automatic."""
    worker, service = make_worker(desk, desk.office), desk.settings.service
    retention = CustodySession(
        desk.store,
        desk.office.clock,
        load_role_key(retention_as),
        desk.roots,
        desk.office.retention,
    )
    expiry = Expiry(retention, list(desk.replicas.values()))
    stopped, due_s, told = _until_stopped(), 0.0, set[str]()
    click.echo("Custody serves; Ctrl-C ends it.", err=True)
    while not stopped.wait(service.intake_s):
        try:
            _say(worker.once())
            if time.monotonic() >= due_s:
                due_s = time.monotonic() + service.retention_s
                _expire(expiry)
                _remind(retention, service.reminder_days, told)
        except StoreError as error:
            click.echo(f"The store does not answer, it is asked again: {error}", err=True)


def make_worker(desk: CustodyContext, office: CustodySession) -> Intake:
    name = f"{socket.gethostname()}-{os.getpid()}".replace(" ", "-")
    replicas = [ReplicaStore(name, store) for name, store in desk.replicas.items()]
    heads = desk.settings.agency.heads
    return Intake(office, desk.roots, name, replicas, heads=Path(heads) if heads else None)


def _expire(expiry: Expiry) -> None:
    try:
        done = expiry.run()
    except CustodyError as error:  # the bulk guard: a person must confirm; intake goes on
        click.echo(f"bwv: {error}", err=True)
        return
    for word in ("hidden", "erased", "restored", "denied"):
        for name in getattr(done, word):
            click.echo(f"{word}: {name}")


def _remind(office: CustodySession, days: int, told: set[str]) -> None:
    for sentence in reminders(office, days):
        if sentence not in told:
            told.add(sentence)
            click.echo(f"reminder: {sentence}")
            office.append(lambda said=sentence: ("reminder", {"text": said}))  # type: ignore[misc]


def _say(done: Done) -> None:
    if done.something:
        click.echo(
            f"{done.received} received, {done.receipts} receipts, {done.quarantined} quarantined"
        )
    for reason in done.refused:
        click.echo(f"refused: {reason}", err=True)


def _until_stopped() -> threading.Event:
    """Set by SIGINT and SIGTERM: what is under way is finished first."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    return stopped
