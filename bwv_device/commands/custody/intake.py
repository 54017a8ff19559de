"""`bwv custody intake`: takes in what cameras delivered, once or as a service."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import click

from bwv_device.commands.custody.options import CustodyContext
from bwv_device.commands.custody.service_log import ServiceLog
from bwv_device.commands.custody.until_stopped import until_stopped
from bwv_device.custody.intake.intake import Intake
from bwv_device.custody.intake.results import ReplicaStore
from bwv_device.custody.session import CustodySession
from hal.ports import StoreError


@click.command()
@click.option("--watch", is_flag=True, help="Go on until stopped.")
@click.pass_obj
def intake_command(context: CustodyContext, watch: bool) -> None:
    """Verifies new uploads with public keys only, and issues receipts. Any number may run at
    once."""
    worker, stopped = make_worker(context, context.session), until_stopped() if watch else None
    log = ServiceLog(context)
    while True:
        try:
            log.intake(worker.once())
        except StoreError as error:
            if stopped is None:
                raise
            log.no_answer(error)
        if stopped is None or stopped.wait(context.settings.service.intake_s):
            return


def make_worker(context: CustodyContext, session: CustodySession) -> Intake:
    name = f"{socket.gethostname()}-{os.getpid()}".replace(" ", "-")
    replicas = [ReplicaStore(name, store) for name, store in context.replicas.items()]
    heads = context.settings.agency.heads
    return Intake(session, context.roots, name, replicas, heads=Path(heads) if heads else None)
