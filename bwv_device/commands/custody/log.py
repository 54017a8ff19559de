"""`bwv custody log`: publishes the ledger's log and asks witnesses, once or as a service."""

from __future__ import annotations

from pathlib import Path

import click

from bwv_device.backends.witness_line import HttpWitnessLine
from bwv_device.commands.custody.options import CustodyContext
from bwv_device.commands.custody.service_log import ServiceLog
from bwv_device.commands.custody.until_stopped import until_stopped
from bwv_device.commands.key_files.note_key import read_note_key
from bwv_device.custody.history.log import CustodyLog, LogRun
from bwv_device.errors import CustodyError, KeyFileError
from hal.host import HostClock
from hal.ports import StoreError


@click.command()
@click.option("--watch", is_flag=True, help="Go on until stopped.")
@click.pass_obj
def log_command(context: CustodyContext, watch: bool) -> None:
    """Writes tiles and a signed checkpoint of the ledger into the store, and has witnesses cosign
    it. It needs the log's key (log.key) and no role."""
    settings = context.settings.log
    if not settings.key:
        raise KeyFileError("No key of a log is named.", "Set log.key in custody.toml.")
    key, index = read_note_key(Path(settings.key)), context.index
    line = HttpWitnessLine(settings.ca)
    log = CustodyLog(index, context.store, HostClock(), key, context.trust, line)
    stopped, said = until_stopped() if watch else None, ServiceLog(context)
    while True:
        try:
            said.log(log.publish())
        except (StoreError, CustodyError) as error:
            if stopped is None:
                raise
            said.log(LogRun(troubles=[f"nothing is published: {error}"]))
        if stopped is None or stopped.wait(settings.interval_s):
            return
